# An authorized call holds its slot until the lease ends
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; lease +2m30s; window 0+1/5; permission 0+1/35
+2m+30s-1ms    | view                            | window 0+1/5
+2m+30s        | view                            | window 0/5; permission 0/35
+2m+30s+1ms    | view                            | window 0/5

# The caller may ask for a lease of its own
profile atom
+0             | accept                          | RECORDED
               | authorize c1 lease 10s          | ALLOW; lease +10s
               | authorize c2 lease 10m          | ALLOW; lease +10m; window 0+2/5
+10s-1ms       | view                            | window 0+2/5
+10s           | view                            | window 0+1/5
+10m-1ms       | view                            | window 0+1/5
+10m           | view                            | window 0/5

# A sign of life renews the lease
profile atom
+0             | accept                          | RECORDED
               | authorize c1                    | ALLOW; lease +90s
+60s           | call c1 placed                  | RECORDED; window 0+1/5
+150s-1ms      | view                            | window 0+1/5
               | call c1 ringing @+149s          | RECORDED
+239s-1ms      | view                            | window 0+1/5
+239s          | view                            | window 0/5
+239s+1ms      | view                            | window 0/5

# An older sign of life that arrives late does not shorten it
profile atom
+0             | accept                          | RECORDED
+60s           | call c1 ringing                 | RECORDED
+61s           | call c1 placed @+10s            | window 0+1/5
+150s-1ms      | view                            | window 0+1/5
+150s          | view                            | window 0/5

# The later of the authorized time and the sign of life counts
profile atom
+0             | accept                          | RECORDED
               | authorize c1 lease 10m          | ALLOW; lease +10m
+60s           | call c1 ringing                 | RECORDED
+10m-1ms       | view                            | window 0+1/5
+10m           | view                            | window 0/5

# A call that was never authorized here holds as well
profile atom; lease 3s
+0             | accept                          | RECORDED
+1m            | call /w1 placed                 | RECORDED; window 0+1/5
+1m+3s-1ms     | view                            | window 0+1/5
+1m+3s         | view                            | window 0/5

# A call that is over holds nothing
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; window 0+1/5
               | call c1 not_placed              | RECORDED; window 0/5; streak 0
               | authorize c2                    | ALLOW; window 0+1/5
               | call c2 failed                  | RECORDED; window 0/5; streak 0
               | authorize c3                    | ALLOW; window 0+1/5
               | call c3 unanswered              | RECORDED; window 0/5; streak 1
+2m            | authorize c4                    | ALLOW; window 0+1/5
               | call c4 answered                | RECORDED; window 1/5; streak 0

# A late sign of life does not bring back a call that is over
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; window 0/5; streak 1
+2m            | call c1 ringing                 | window 0/5; streak 1

# A call answered after its lease counts, over the limit if need be
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
               | authorize c1                    | ALLOW
+90s           | authorize c2                    | ALLOW; window 0+1/1
+91s           | call c1 answered                | RECORDED; window 1+1/1
+92s           | call c2 answered                | RECORDED; window 2/1
