# A stronger outcome that comes late corrects a weaker one and is still one call
> Weakest first: held, not placed, placed, ringing, failed, canceled, unanswered, rejected, uncertain, answered.
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; window 0+1/5
               | call c1 not_placed              | RECORDED; window 0/5; streak 0
               | call c1 placed                  | RECORDED; window 0+1/5; streak 0
               | call c1 ringing                 | RECORDED; window 0+1/5; streak 0
               | call c1 failed                  | RECORDED; window 0/5; streak 0
               | call c1 canceled                | RECORDED; window 0/5; streak 1
               | call c1 unanswered              | RECORDED; window 0/5; streak 1
               | call c1 rejected                | RECORDED; window 0/5; streak 1
               | call c1 uncertain               | RECORDED; window 1/5; streak 0
               | call c1 answered                | RECORDED; window 1/5; streak 0

# A weaker outcome that comes late takes nothing back
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED; window 1/5
+2m            | call c1 uncertain               | window 1/5; streak 0
               | call c1 rejected                | window 1/5; streak 0
               | call c1 unanswered              | window 1/5; streak 0
               | call c1 canceled                | window 1/5; streak 0
               | call c1 failed                  | window 1/5; streak 0
               | call c1 ringing                 | window 1/5; streak 0
               | call c1 placed                  | window 1/5; streak 0
               | call c1 not_placed              | window 1/5; streak 0

# Failed and canceled do not undo a miss
profile atom; canceled_is_unanswered false
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
               | call c1 canceled                | streak 1
               | call c1 failed                  | streak 1
+2m            | call c2 canceled                | RECORDED; streak 1
               | call c2 unanswered              | RECORDED; streak 2

# The time of a call is the earliest told for its strongest outcome
profile atom
+0             | accept                          | RECORDED
+5m            | call c1 unanswered @+1m         | RECORDED
               | call c1 answered @+4m           | RECORDED
               | view                            | entries window c1 +4m > +24h4m
               | call c1 answered @+3m           | RECORDED
               | call c1 answered @+5m           | DUPLICATE
               | view                            | entries window c1 +3m > +24h3m

# For an answered call that is the pick-up
profile atom
+0             | accept                          | RECORDED
+9m            | call c1 answered picked_up +2m ended +9m | RECORDED
               | view                            | entries window c1 +2m > +24h2m

# The earliest end counts
profile meta
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+9m            | call c1 answered picked_up +1m ended +6m | RECORDED
               | call c1 answered picked_up +1m ended +5m | RECORDED
               | call c1 answered picked_up +1m ended +6m | DUPLICATE
               | check                           | ALLOW

# An undelivered request is stronger than a sent one
profile atom
+0             | request r1 refused              | RECORDED; day 0/1
               | request r1 sent                 | RECORDED; day 1/1; status PENDING
               | request r1 refused              | DUPLICATE; day 1/1; status PENDING
               | request r1 undelivered          | RECORDED; day 0/1; status NONE
               | request r1 sent                 | DUPLICATE; day 0/1; status NONE

# When it was dialled is the time of a call that is only placed
profile atom
+0             | accept                          | RECORDED
+2m            | call c1 placed dialled +1m      | RECORDED
               | call c2 uncertain dialled +1m   | RECORDED
               | call c3 ringing dialled +1m     | RECORDED
               | view                            | entries window c1 +1m > +3m30s held,
               |                                 | c2 +2m > +24h2m, c3 +2m > +3m30s held

# A refused call is news although a later one was refused before
profile atom
+2m            | call /w1 failed error 138006    | RECORDED; status AUTO_REVOKED
               | call /w2 failed dialled +1m error 138006 | RECORDED
               | call /w2 failed dialled +1m error 138006 | DUPLICATE
