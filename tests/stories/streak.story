# Unanswered and rejected calls add up; an answered call starts anew
profile atom
+0             | accept                          | RECORDED; streak 0
+1m            | call c1 unanswered              | RECORDED; streak 1
+2m            | call c2 rejected                | RECORDED; streak 2
+3m            | call c3 unanswered              | RECORDED; streak 3; status GRANTED
+4m            | call c4 answered                | RECORDED; streak 0; status GRANTED
+5m            | call c5 unanswered              | RECORDED; streak 1

# A call that the business ended while it rang is a miss
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c3 canceled            | RECORDED
+4m            | view                            | streak 3
               | call c4 canceled                | RECORDED; status AUTO_REVOKED

# It is none where the profile says so
profile atom; canceled_is_unanswered false
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
+2m every 1m   | call c2..c6 canceled            | RECORDED; streak 1; status GRANTED

# Failed and not-placed calls change nothing
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
+2m            | call c2 failed                  | RECORDED; streak 1
+3m            | call c3 not_placed              | RECORDED; streak 1
+4m            | call c4 unanswered              | RECORDED; streak 2

# A call without an outcome changes nothing, even after its lease
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
+2m            | authorize c2                    | ALLOW; streak 1
+3m            | call c3 ringing                 | RECORDED; streak 1
+1h            | view                            | streak 1

# An uncertain call neither adds nor starts anew
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+4m            | call c4 uncertain               | RECORDED; streak 3; status GRANTED
+5m            | call c5 unanswered              | RECORDED; streak 0; status AUTO_REVOKED

# The customer's reject starts anew
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+4m            | reject                          | RECORDED; streak 0
+5m            | accept                          | RECORDED; status GRANTED; streak 0
+6m            | call c4 unanswered              | RECORDED; streak 1

# A taking-away by the provider starts anew
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+4m            | reject automatic                | RECORDED; streak 0; status AUTO_REVOKED
+5m            | call c4 unanswered              | RECORDED; streak 1

# Accepts, requests, expiry and inbound calls leave the streak alone
profile atom
+0             | accept expires +1h              | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
+2m            | accept expires +1h              | RECORDED; streak 1
+3m            | request r1 sent                 | RECORDED; streak 1
+4m            | inbound call answered           | RECORDED; streak 1
+5m            | inbound message                 | RECORDED; streak 1
+6m            | accept automatic                | RECORDED; streak 1
+8d            | view                            | status EXPIRED; streak 1

# The order is that of the calls, not that of the reports
profile atom
+10m           | call c3 unanswered @+3m         | RECORDED; streak 1
               | call c2 answered @+2m           | RECORDED; streak 1
               | call c1 unanswered @+1m         | RECORDED; streak 1
               | call c4 answered @+4m           | RECORDED; streak 0

# An answered call that was called unanswered at first takes its miss back
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
+2m            | call c2 unanswered              | RECORDED; streak 2
+3m            | call c2 answered @+2m           | RECORDED; streak 0; window 1/5

# A reject told after the terminate is still one miss
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
+2m            | call c1 rejected                | RECORDED; streak 1

# A run from before the horizon is known under both ids
profile atom
+0             | call c1 unanswered as U         | RECORDED; streak 1
+8d+1m         | inbound message as U            | RECORDED; streak 1
               | identity as A+U                 | RECORDED; streak 1
               | view as A                       | streak 1

# Two runs from before the horizon add up
profile atom
+0             | call c1 unanswered as U         | RECORDED
               | call c2 unanswered as U         | RECORDED; streak 2
+1m            | call c3 unanswered as A         | RECORDED; streak 1
+8d+2m         | inbound message as U            | RECORDED; streak 2
               | inbound message as A            | RECORDED; streak 1
               | identity as A+U                 | RECORDED; streak 3

# Two runs from before the horizon that end at one time add up
profile atom
+0             | call c1 unanswered as U         | RECORDED
               | call c2 unanswered as U         | RECORDED; streak 2
               | call c3 unanswered as A         | RECORDED; streak 1
+8d+1m         | inbound message as U            | RECORDED; streak 2
               | inbound message as A            | RECORDED; streak 1
               | identity as A+U                 | RECORDED; streak 3

# Whichever id it is known by
profile atom
+0             | call c1 unanswered as A         | RECORDED
               | call c2 unanswered as A         | RECORDED; streak 2
               | call c3 unanswered as U         | RECORDED; streak 1
+8d+1m         | inbound message as U            | RECORDED; streak 1
               | inbound message as A            | RECORDED; streak 2
               | identity as A+U                 | RECORDED; streak 3

# Together they are never more than one miss before the last: that one revokes
profile atom
+0             | accept permanent as A           | RECORDED
+1s            | call c1 unanswered as A         | RECORDED
               | call c2 unanswered as A         | RECORDED
               | call c3 unanswered as A         | RECORDED; streak 3
+1m            | call c4 unanswered as U         | RECORDED
               | call c5 unanswered as U         | RECORDED; streak 2
+9d            | inbound message as U            | RECORDED; streak 2
               | inbound message as A            | RECORDED; streak 3
               | identity as A+U                 | RECORDED; streak 3
               | call c6 unanswered as A+U       | RECORDED; streak 0; status AUTO_REVOKED

# Of two endings each starts the count anew, a miss between them counts for nothing
profile atom
+0             | accept                          | RECORDED
+1m            | reject automatic                | RECORDED; streak 0
+2m            | call c1 unanswered              | RECORDED; streak 1
+3m            | reject                          | RECORDED; streak 0
+4m            | call c2 unanswered              | RECORDED; streak 1
