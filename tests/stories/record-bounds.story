# A record has room for 512 calls, and a full one refuses the next
profile atom
+0             | accept permanent                | RECORDED
+1m every 1s   | call c1..c512 answered          | RECORDED
+1h            | call c513 answered              | REFUSED full
               | call c7 rejected                | DUPLICATE
               | view                            | window 512/5

# A full record cannot hold another call
profile atom; calls_per_window 1000; calls_per_permission 0
+0             | accept permanent                | RECORDED
+1m every 1s   | call c1..c512 answered          | RECORDED
+1h            | authorize d1                    | REFUSED full
               | check                           | ALLOW
               | view                            | window 512/1000

# Not-placed, failed and long-lapsed held calls make room
profile atom; calls_per_window 1000; calls_per_permission 0
+0             | accept permanent                | RECORDED
+1s            | authorize held1                 | ALLOW
               | call np1 not_placed             | RECORDED
               | call f1 failed                  | RECORDED
+1d every 1s   | call c1..c512 answered          | RECORDED
+1d+1h         | call c513 answered              | REFUSED full

# What goes is a whole attempt: what our id alone told never moves to another one
profile atom; calls_per_window 1000; calls_per_permission 0
+0             | accept permanent                | RECORDED
+1s            | call c/w1 failed                | RECORDED
+2s            | call c answered                 | RECORDED; window 1/1000
+3s            | call c/w2 answered              | RECORDED; window 2/1000
+1m every 1s   | call d1..d510 answered          | RECORDED
+1h            | call e answered                 | REFUSED full
               | view                            | window 512/1000

# A record has room for 64 requests, and a full one refuses the next
profile meta-sandbox; requests_per_day 100
+0 every 1s    | request r1..r64 sent            | RECORDED
+1h            | request r65 sent                | REFUSED full
               | authorize-request r66           | REFUSED full
               | view                            | status PENDING; week 64/100; revision same

# A full record has room again when its requests are folded
profile meta-sandbox
+0 every 1s    | request r1..r64 sent            | RECORDED
+9d            | request r65 sent                | RECORDED; week 1/100

# A full record has room again when its calls are folded
profile atom
+0 every 1s    | call c1..c512 answered          | RECORDED
+9d            | call c513 answered              | RECORDED; window 1/5
