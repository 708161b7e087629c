# What is told twice is a duplicate
profile atom
+0             | request r1/m1 sent              | RECORDED; revision grew
               | request r1/m1 sent @+0          | DUPLICATE; revision same
+1m            | request /m1 delivered           | RECORDED
               | request /m1 delivered @+1m      | DUPLICATE
+2m            | accept to r1                    | RECORDED
               | accept to r1 @+2m               | DUPLICATE
+3m            | accept automatic                | RECORDED
               | accept automatic @+3m           | DUPLICATE
+4m            | call c1/w1 answered             | RECORDED
               | call c1/w1 answered @+4m        | DUPLICATE
+5m            | inbound call answered           | RECORDED
               | inbound call answered @+5m      | DUPLICATE
+6m            | inbound message                 | RECORDED
               | inbound message @+6m            | DUPLICATE
+7m            | reject                          | RECORDED
               | reject @+7m                     | DUPLICATE; revision same
+8m            | reject automatic                | RECORDED
               | reject automatic @+8m           | DUPLICATE

# An older fact of the same kind is outweighed
profile atom
+1h            | accept                          | RECORDED
               | accept permanent @+1h-1ms       | DUPLICATE; grant TEMPORARY; expires +7d+1h
               | inbound call                    | RECORDED
               | inbound call @+59m              | DUPLICATE
               | inbound message                 | RECORDED
               | inbound message @+59m           | DUPLICATE
               | accept automatic                | RECORDED
               | accept automatic @+59m          | DUPLICATE
               | reject                          | RECORDED
               | reject @+59m                    | DUPLICATE
               | reject automatic                | RECORDED
               | reject automatic @+59m          | DUPLICATE

# Events in order give a state
profile meta
+0             | request r1 sent                 | RECORDED
+1m            | accept to r1                    | RECORDED
+2m            | call c1 unanswered              | RECORDED
+3m            | call c2 answered                | RECORDED
+4m            | call c3 unanswered              | RECORDED
+5m            | inbound message                 | RECORDED
+1h            | view                            | status GRANTED; source REQUEST; granted +1m; expires +7d1m;
               |                                 | streak 1; window 1/100; conversation +24h5m; week 0/2

# The same events in the opposite order give the same state
profile meta
+6m            | inbound message @+5m            | RECORDED
               | call c3 unanswered @+4m         | RECORDED
               | call c2 answered @+3m           | RECORDED
               | call c1 unanswered @+2m         | RECORDED
               | accept to r1 @+1m               | RECORDED
               | request r1 sent @+0             | RECORDED
+1h            | view                            | status GRANTED; source REQUEST; granted +1m; expires +7d1m;
               |                                 | streak 1; window 1/100; conversation +24h5m; week 0/2

# A late fact that is already over still corrects what came after it
profile atom
+0             | accept permanent                | RECORDED
+1m            | call c1 unanswered              | RECORDED
+3m            | call c3 unanswered              | RECORDED
+4m            | call c4 unanswered              | RECORDED; streak 3; status GRANTED
+5m            | call c2 unanswered @+2m         | RECORDED; streak 0; status AUTO_REVOKED
+6m            | call c5 answered @+2m30s        | RECORDED; streak 2; status GRANTED

# What is answered with an error leaves nothing behind
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | authorize c1                    | REFUSED exists
               | view                            | window 1/5; revision same

# That an earlier call of the customer's was answered is news
profile atom
+2m            | inbound call                    | RECORDED
               | inbound call answered @+1m      | RECORDED
               | inbound call answered @+1m      | DUPLICATE
