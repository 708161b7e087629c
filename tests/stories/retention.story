# An event older than 400 days is stale
profile atom
+0             | accept @-400d-1ms               | STALE; status NONE; revision same
               | reject @-400d-1ms               | STALE
               | inbound call @-400d-1ms         | STALE
               | inbound message @-400d-1ms      | STALE
               | accept automatic @-400d-1ms     | STALE
               | reject automatic @-400d-1ms     | STALE
               | accept @-400d+1m                | RECORDED; status EXPIRED

# An event of exactly 400 days ago still counts
profile atom
+0             | accept permanent @-400d         | RECORDED; status GRANTED

# A permanent permission in effect outlives the retention
profile atom
+0             | accept permanent                | RECORDED
+401d          | view                            | status GRANTED; grant PERMANENT
               | check                           | ALLOW PERMANENT_PERMISSION

# What was withdrawn long ago cannot come back
profile atom
+0             | accept permanent                | RECORDED
+1d            | reject                          | RECORDED; status REVOKED
+401d-1ms      | view                            | status REVOKED
+401d+1ms      | accept permanent @+1d-1ms       | STALE

# A pair on which nothing happened for 400 days is forgotten by itself
profile atom
needs clock
+0             | accept permanent                | RECORDED
+1d            | reject                          | RECORDED; status REVOKED
+401d-1ms      | view                            | status REVOKED
+401d+1ms      | view                            | status NONE; revision same

# A withdrawal told under one id does not vanish before the permission told under the other
profile atom
needs clock
+0             | accept permanent as U           | RECORDED
+1h            | identity as A+U                 | RECORDED; status GRANTED
+1d            | reject as A                     | RECORDED; status REVOKED
+300d          | inbound message as U            | RECORDED; status REVOKED
+402d          | view as U                       | status REVOKED
               | check as A+U                    | DENY REVOKED
+700d-1ms      | view as U                       | status REVOKED
+700d+1ms      | view as U                       | status NONE

# A no under one id is kept as long as the yes under the other
profile atom
needs clock
+0             | accept permanent as A           | RECORDED
               | identity as A+U                 | RECORDED; status GRANTED
+1d            | reject as U                     | RECORDED; status REVOKED
+300d          | inbound message as A            | RECORDED; status REVOKED
+402d          | view as A                       | status REVOKED
               | check as A                      | DENY REVOKED

# The bond of two ids is kept as long as a permanent permission under one
profile atom
needs clock
+0             | identity as A+U                 | RECORDED
+1d            | accept permanent as A           | RECORDED; status GRANTED
+402d          | reject as U                     | RECORDED
               | check as A                      | DENY REVOKED

# A permanent permission under a user id outlives a number that is now somebody else's
profile atom
needs clock
+0             | accept permanent as U           | RECORDED
+1d            | identity as A+V                 | RECORDED
+2d            | identity as A+U @+1h            | RECORDED
+405d          | view as U                       | status GRANTED

# A no under a number that the customer had before is kept as long as their yes
profile atom
needs clock
+0             | accept permanent as U           | RECORDED
               | identity as A+U                 | RECORDED; status GRANTED
+1d            | reject as A                     | RECORDED; status REVOKED
+2d            | identity as B+U                 | RECORDED; status REVOKED
+300d          | inbound message as U            | RECORDED; status REVOKED
+402d          | check as U                      | DENY REVOKED
               | check as B                      | DENY REVOKED

# A no is kept as long as the yes where a former number of the customer gets a new owner
profile atom
needs clock
+0             | accept permanent as B           | RECORDED
               | identity as A+U @-1h            | RECORDED
               | identity as B+U                 | RECORDED; status GRANTED
+1m            | reject as U                     | RECORDED; status REVOKED
+2m every 1m   | call c1..c2 unanswered as A     | RECORDED
+1h            | identity as A+V                 | RECORDED
+402d          | view as B                       | status NONE
               | check as B                      | DENY NEVER_ASKED

# A call under one id keeps no record under the other, where no permission was ever given
profile atom; unanswered_warns_at 3
needs clock
+0             | call /w1 unanswered as A+U      | RECORDED; streak 1
+1h            | call /w2 unanswered as U        | RECORDED; streak 2
+400d-1ms      | view as U                       | streak 2
+400d          | view as U                       | streak 1
+400d+1h       | view as U                       | streak 0

# Who only looks leaves nothing
profile atom
needs clock
+0             | settle                          | status NONE
               | check                           | DENY
               | view as A+U                     | status NONE
               | authorize c1                    | DENY
               | forget                          | NOTHING

# A no under one id outlives what the provider told under the other
profile atom
+0             | accept automatic expires +30d as A | RECORDED
+1d            | reject as U                     | RECORDED
               | identity as A+U                 | RECORDED; status REVOKED
+300d          | inbound message as A            | RECORDED; status REVOKED
+401d+1h       | view as A                       | status REVOKED

# A no under one id outlives a call of the customer's under the other
profile atom
+0             | inbound call as A               | RECORDED
+1d            | reject as U                     | RECORDED
               | identity as A+U                 | RECORDED; status REVOKED
+300d          | inbound message as A            | RECORDED; status REVOKED
+401d+1h       | view as A                       | status REVOKED

# A number outlives the records of those whose it was
profile atom
+0             | identity as A+U                 | RECORDED
+1m            | identity as A+V                 | RECORDED
+300d          | inbound message as A            | RECORDED
+401d          | accept as A                     | RECORDED; status GRANTED

# Where nothing gave permission, what is kept under each id expires by itself
profile atom
needs clock
+0             | identity as A+U                 | RECORDED
               | reject as U                     | RECORDED
+399d          | inbound message as A            | RECORDED; status REJECTED
+400d1s        | view as A                       | status NONE
               | settle                          | status NONE

# A permanent permission of one number does not expire, whatever is told of another number of the same user
profile atom
+0             | identity as A+U                 | RECORDED
+1d            | accept permanent as B+U         | RECORDED; grant PERMANENT
+2d            | inbound message as A            | RECORDED
+500d          | check as B                      | ALLOW

# ... but no longer than that: who loses a number expires as if it had not been theirs
profile atom
needs clock
+0             | call c1 unanswered as B+U       | RECORDED; streak 1
+1h            | accept permanent as A+U         | RECORDED; grant PERMANENT
+2d            | identity as A+V                 | RECORDED; grant none
+400d+1h-1ms   | view as B                       | streak 1
+400d+1h       | view as B                       | streak 0

# Misses that were summed up are kept as long as others, whatever is told late of times before them
profile atom; unanswered_warns_at 3
needs clock
+0 every 1m    | call c1..c3 unanswered          | RECORDED
+9d            | inbound message @-390d          | RECORDED; streak 3
+11d           | accept                          | RECORDED; status GRANTED; streak 3
               | call c4 unanswered              | RECORDED; status AUTO_REVOKED
