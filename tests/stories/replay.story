# The same call again, while it holds: the same lease, nothing more held
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; lease +2m30s; replayed no; window 0+1/5
+2m            | authorize c1                    | ALLOW TEMPORARY_PERMISSION; lease +2m30s; replayed yes;
               |                                 | window 0+1/5; permission 0+1/35; next PLACE_CALL
+2m+30s-1ms    | authorize c1 lease 10m          | ALLOW; lease +2m30s; replayed yes

# After its lease it is judged afresh
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; lease +2m30s
+2m+30s        | authorize c1                    | ALLOW; lease +4m; replayed no; window 0+1/5
+10m           | authorize c1 lease 10s          | ALLOW; lease +10m10s; replayed no; window 0+1/5

# No quota is judged again
profile atom; calls_per_window 1; calls_at_once 1; calls_per_permission 1
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
               | call c9 answered                | RECORDED; window 1+1/1
               | authorize c1                    | ALLOW; replayed yes; lease +2m30s
               | authorize c2                    | DENY

# Permission is judged afresh, and what it held is released
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; window 0+1/5
+1m10s         | reject                          | RECORDED; window 0+1/5
               | authorize c1                    | DENY REVOKED; blocked REVOKED; lease never; replayed no;
               |                                 | window 0/5; next SEND_PERMISSION_REQUEST
+1m20s         | accept                          | RECORDED; window 0/5
               | authorize c1                    | ALLOW; replayed no; lease +2m50s; window 0+1/5

# A pause is judged afresh, and what it held is released
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
               | number paused until +1h         | CHANGED
+1m1s          | authorize c1                    | DENY BUSINESS_NUMBER_PAUSED; blocked BUSINESS_NUMBER_PAUSED;
               |                                 | callable +1h; next WAIT; window 0/5

# What reports hold is not released
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
+1m10s         | call c1 ringing                 | RECORDED
+1m20s         | reject                          | RECORDED
               | authorize c1                    | DENY REVOKED; window 0+1/5
+2m40s-1ms     | view                            | window 0+1/5
+2m40s         | view                            | window 0/5

# A denial is not remembered
profile atom
+0             | authorize c1                    | DENY NEVER_ASKED
+1m            | accept                          | RECORDED
               | authorize c1                    | ALLOW; replayed no

# A call known only by reports that still hold is judged afresh, not counting itself
profile atom; calls_per_window 1; calls_at_once 1
+0             | accept                          | RECORDED
+1m            | call c1 placed                  | RECORDED; window 0+1/1
               | authorize c2                    | DENY
               | authorize c1                    | ALLOW; replayed no; lease +2m30s; window 0+1/1
               | authorize c1                    | ALLOW; replayed yes; lease +2m30s

# A lapsed call is judged afresh: the slot may be gone
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
+2m+30s        | authorize c2                    | ALLOW
               | authorize c1                    | DENY CALL_WINDOW_LIMIT; callable +4m

# A call that is over is refused, whatever became of it
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 not_placed              | RECORDED
               | call c2 failed                  | RECORDED
               | call c3 canceled                | RECORDED
               | call c4 unanswered              | RECORDED
               | call c5 rejected                | RECORDED
               | call c6 uncertain               | RECORDED
               | call c7 answered                | RECORDED
               | authorize c1..c7                | REFUSED exists

# One attempt that is over is enough
profile atom
+0             | accept                          | RECORDED
+1m            | call c1/w1 unanswered           | RECORDED
+2m            | call c1/w2 ringing              | RECORDED; window 0+1/5
               | authorize c1                    | REFUSED exists

# A provider's id is another name space
profile atom
+0             | accept                          | RECORDED
+1m            | call /c1 answered               | RECORDED
               | authorize c1                    | ALLOW; window 1+1/5

# Over comes before permission
profile atom
+0             | call c1 answered                | RECORDED
               | authorize c1                    | REFUSED exists

# A permission request repeats like a call
profile atom
+0             | authorize-request r1            | ALLOW NEVER_ASKED; lease +90s; replayed no
+30s           | authorize-request r1            | ALLOW NEVER_ASKED; lease +90s; replayed yes; day 0+1/1; week 0+1/2
+90s           | authorize-request r1            | ALLOW NEVER_ASKED; lease +180s; replayed no; day 0+1/1

# A permission request that was sent, refused or undelivered is refused
profile meta-sandbox
+0             | request r1 sent                 | RECORDED
               | request r2 refused              | RECORDED
               | request r3 undelivered          | RECORDED
               | request r4 delivered            | RECORDED
               | authorize-request r1..r4        | REFUSED exists

# A repeated request is denied when a permission came meanwhile, and its hold is released
profile atom
+0             | authorize-request r1            | ALLOW; day 0+1/1
+10s           | accept                          | RECORDED; status GRANTED
               | authorize-request r1            | DENY PERMISSION_IN_EFFECT; day 0/1; week 0/2

# A repeated request is denied during a pause, and its hold is released
profile atom
+0             | authorize-request r1            | ALLOW; day 0+1/1
               | number requests paused until +1h| CHANGED
+10s           | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED; requestable +1h; day 0/1

# A hold that was taken back was not authorized, be the call reported to be under way
profile atom
+0             | accept                          | RECORDED
+1s            | authorize c1                    | ALLOW
+2s            | call c1 placed                  | RECORDED
+3s            | reject                          | RECORDED
               | authorize c1                    | DENY REVOKED
+5s            | accept                          | RECORDED
               | authorize c1                    | ALLOW; replayed no
