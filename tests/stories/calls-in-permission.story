# Thirty-five calls within one temporary permission, under the article's rules
profile atom
+0             | accept                          | RECORDED; permission 0/35
+1m every 1m   | call a1..a5 answered            | RECORDED
+1d1m every 1m | call b1..b5 answered            | RECORDED
+2d1m every 1m | call c1..c5 answered            | RECORDED
+3d1m every 1m | call d1..d5 answered            | RECORDED
+4d1m every 1m | call e1..e5 answered            | RECORDED
+5d1m every 1m | call f1..f5 answered            | RECORDED
+6d1m every 1m | call g1..g4 answered            | RECORDED
+6d+5m         | authorize g5                    | ALLOW; permission 34+1/35 free +6d6m30s
               | call g5 answered                | RECORDED; permission 35/35 free never; window 5/5 free +7d1m
+6d+6m         | check                           | DENY CALL_PERMISSION_LIMIT; callable never;
               |                                 | blocked CALL_PERMISSION_LIMIT CALL_WINDOW_LIMIT;
               |                                 | next SEND_PERMISSION_REQUEST

# Calls count from the moment the permission was given
profile atom; calls_per_permission 3
+0             | accept                          | RECORDED
+1m            | call c1 answered @-1ms          | RECORDED; permission 0/3; window 1/5
               | call c2 answered @+0            | RECORDED; permission 1/3; window 2/5
               | call c3 uncertain @+1ms         | RECORDED; permission 2/3; window 3/5
               | call c4 unanswered              | RECORDED; permission 2/3

# A new accept starts a new count
profile atom; calls_per_permission 2
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | call c2 answered                | RECORDED; permission 2/2
               | authorize c3                    | DENY CALL_PERMISSION_LIMIT; next SEND_PERMISSION_REQUEST
+3m            | accept                          | RECORDED; permission 0/2
               | authorize c3                    | ALLOW; permission 0+1/2

# A hold counts whenever it was authorized
profile atom; calls_per_permission 2
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; permission 0+1/2
               | accept @+1m1ms                  | RECORDED; permission 0+1/2
+1m+1s         | authorize c2                    | ALLOW; permission 0+2/2 free +2m30s

# One that is full by holds frees when they lapse
profile atom; calls_per_permission 2
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | authorize c2                    | ALLOW; permission 1+1/2 free +3m30s
               | check                           | DENY CALL_PERMISSION_LIMIT; callable +3m30s; next WAIT
+3m+30s-1ms    | check                           | DENY CALL_PERMISSION_LIMIT
+3m+30s        | check                           | ALLOW; permission 1/2

# A limit of 0 is none
profile meta
+0             | accept                          | RECORDED; permission 0/0
+1m            | call c1 answered ended +1m      | RECORDED
+2m            | check                           | ALLOW

# A permanent permission has no such limit
profile atom; calls_per_permission 1; calls_per_window 9
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c3 answered            | RECORDED
+4m            | check                           | ALLOW PERMANENT_PERMISSION
               | view                            | permission */0 free never

# Without a permission nothing is counted in it
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED; permission 1/35
               | authorize c2                    | ALLOW; permission 1+1/35
+2m            | reject                          | RECORDED; permission 0+0/*; window 1+1/5

# Calls are counted within the horizon, however long the permission
profile atom; calls_per_permission 2
+0             | accept expires +30d             | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | call c2 answered                | RECORDED; permission 2/2
+8d            | check                           | DENY CALL_PERMISSION_LIMIT
+8d+3m         | view                            | permission 0/2
               | check                           | ALLOW

# A permission by calling in has a count of its own
profile atom; calls_per_permission 2
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED; permission 1/2
+2m            | inbound call                    | RECORDED; source INBOUND_CALL; permission 0/2

# A temporary ACCEPT that is told late counts the calls since it was given, beyond the limit too
profile atom; calls_per_permission 1
+0             | accept permanent                | RECORDED; permission 0/0
+2m            | call c1 answered                | RECORDED
               | call c2 answered                | RECORDED
+3m            | accept @+1m                     | RECORDED; permission 2/1
               | authorize c3                    | DENY CALL_PERMISSION_LIMIT
