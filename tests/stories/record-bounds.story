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

# A hold that lapsed an hour ago makes room for a call
profile atom; calls_per_window 1000; calls_per_permission 0
+0             | accept permanent                | RECORDED
               | authorize h1                    | ALLOW; lease +90s
+1s            | call c1..c511 answered          | RECORDED
+1h+90s-1ms    | call d1 answered                | REFUSED full
+1h+90s        | call d1 answered                | RECORDED; window 512/1000

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

# ... be they the former owner's
profile meta-sandbox
+0 every 1s    | request r1..r64 sent as A+U     | RECORDED
+7d            | identity as A+V                 | RECORDED
+8d-1ms        | request r65 sent as A           | REFUSED full
+9d            | request r65 sent as A           | RECORDED; week 1/100

# A full record has room again when its calls are folded
profile atom
+0 every 1s    | call c1..c512 answered          | RECORDED
+9d            | call c513 answered              | RECORDED; window 1/5

# Requests that were refused, and holds that lapsed an hour ago, leave a full record
profile atom; requests_per_day 100; requests_per_week 100
+0             | authorize-request h1            | ALLOW; lease +90s
               | request x1 refused              | RECORDED
+1s            | request r1..r62 sent            | RECORDED
+90s           | request r63 sent                | RECORDED; week 63/100
               | request r64 sent                | REFUSED full
+1h+90s-1ms    | request r64 sent                | REFUSED full
+1h+90s        | request r64 sent                | RECORDED; week 64/100
               | request r65 sent                | REFUSED full

# What leaves a full record leaves with all that was told of it, and with nothing else
profile atom; requests_per_day 100; requests_per_week 100
+0             | request x1 refused              | RECORDED
               | request x1/m1 refused           | RECORDED
+1s            | request r1..r60 sent            | RECORDED
               | request z1 sent                 | RECORDED
               | request /m0 sent                | RECORDED
               | request /m2 sent                | RECORDED; week 63/100
+2s            | request r61 sent                | RECORDED; week 64/100
               | request r62 sent                | REFUSED full
               | view                            | week 64/100

# The second attempt under one own id leaves, what was told of the first stays
profile atom; requests_per_day 100; requests_per_week 100
+1s            | request x1/m2 sent @+0          | RECORDED
               | request x1 undelivered          | RECORDED
               | request x1/m1 refused           | RECORDED
               | request x1/m3 refused           | RECORDED
+2s            | request r1..r61 sent            | RECORDED
               | view                            | week 61/100
+3s            | request r62 sent                | RECORDED; week 62/100
               | request r63 sent                | RECORDED; week 63/100
               | request r64 sent                | REFUSED full
               | view                            | week 63/100

# The oldest leaves first, of two at one time the one that was told first
profile atom; requests_per_day 100; requests_per_week 100
+1s            | request x3 refused              | RECORDED
               | request x1 refused @+0          | RECORDED
               | request x2 refused @+0          | RECORDED
               | request r1..r61 sent            | RECORDED
               | request r62 sent                | RECORDED
               | authorize-request x2            | REFUSED exists
               | authorize-request x3            | REFUSED exists
               | authorize-request x1            | ALLOW
               | authorize-request x3            | REFUSED exists
               | authorize-request x2            | ALLOW; replayed no

# What adds an id to a known request takes no room of its own
profile atom; requests_per_day 100; requests_per_week 100
+0             | request x/m0 sent               | RECORDED
               | request r1..r63 sent            | RECORDED
               | request x delivered             | RECORDED
               | request r1/m1 sent              | RECORDED
               | request r2/m2 delivered         | RECORDED; week 64/100
               | request r1/m3 sent              | REFUSED full
               | request /m3 sent                | REFUSED full
               | request y sent                  | REFUSED full
               | view                            | week 64/100

# Told by one own id and then by a smaller one it leaves the first by itself, and that is one more
profile atom; requests_per_day 100; requests_per_week 100
+0             | request r1..r63 sent            | RECORDED
               | request b9/p sent               | RECORDED
               | request b9 sent                 | RECORDED; week 64/100
               | request b8/p sent               | RECORDED; week 65/100
               | request b8 sent                 | REFUSED full
               | request r1/m1 sent              | REFUSED full
               | request b7/p sent               | RECORDED; week 65/100
               | request b7 sent                 | REFUSED full
