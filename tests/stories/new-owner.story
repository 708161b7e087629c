# A number bound later to another user has a new owner: consent is never carried over
profile atom
+0             | accept permanent as A+U         | RECORDED; status GRANTED
+1m            | call c1 unanswered as A         | RECORDED; streak 1
+1d            | identity as A+V                 | RECORDED; status NONE; streak 0; user US.2000
               | view as A                       | status NONE; user US.2000
               | view as V                       | status NONE
               | check as A                      | DENY NEVER_ASKED

# What was told before any binding is not the new owner's either
profile atom
+0             | accept permanent as A           | RECORDED
+1m            | identity as A+U                 | RECORDED; status GRANTED
+1d            | identity as A+V                 | RECORDED; status NONE

# What was told under the user id alone stays with it
profile atom
+0             | accept permanent as U           | RECORDED
+1m            | identity as A+U                 | RECORDED; status GRANTED
+1d            | identity as A+V                 | RECORDED; status NONE
               | view as U                       | status GRANTED
               | view as A                       | status NONE
               | view as V                       | status NONE

# What the new owner says counts
profile atom
+0             | accept permanent as A+U         | RECORDED
+1d            | accept as A+V                   | RECORDED; status GRANTED; grant TEMPORARY; granted +1d
               | view as A                       | grant TEMPORARY

# What was told of the new owner under the user id alone counts
profile atom
+0             | accept permanent as A+U         | RECORDED
+1h            | accept as V                     | RECORDED; status GRANTED
+1d            | identity as A+V                 | RECORDED; status GRANTED; grant TEMPORARY; granted +1h

# A redelivered fact of the old owner does not come back
profile atom
+0             | accept permanent as A+U         | RECORDED
+1d            | identity as A+V                 | RECORDED; status NONE
+1d+1m         | accept permanent as A @+0       | status NONE
               | accept permanent as A+U @+0     | status NONE
               | view as A                       | status NONE
               | view as V                       | status NONE

# Later is by the time of the event: an old binding that is told late changes no owner
profile atom
+1d            | accept as A+V                   | RECORDED; status GRANTED
               | identity as A+U @+0             | status GRANTED
               | view as A                       | status GRANTED; user US.2000

# The order of telling does not matter
profile atom
+2d            | identity as A+V @+1d            | RECORDED
               | accept permanent as A+U @+0     | status NONE
               | view as A                       | status NONE; user US.2000
               | view as V                       | status NONE

# The same owner again changes nothing
profile atom
+0             | accept permanent as A+U         | RECORDED
+1d            | identity as A+U                 | DUPLICATE; status GRANTED

# A hold of the old owner is not the new one's
profile atom; calls_per_window 1
+0             | accept as A+U                   | RECORDED
+1m            | authorize c1 as A               | ALLOW
+1m10s         | accept as A+V                   | RECORDED; window 0/1
               | authorize c2 as A               | ALLOW

# What another customer holds under the same id is not given back, be it on a number that was this one's
profile atom; calls_per_window 1
+0             | accept as A+V                   | RECORDED
+1m            | accept as A+U                   | RECORDED
+2m            | accept as B+V                   | RECORDED
+3m            | authorize c1 as B               | ALLOW
               | authorize c1 as A               | ALLOW; window 0+1/1
+3m1s          | reject as V                     | RECORDED
               | authorize c1 as V               | DENY; window 0+0/1
               | view as A                       | window 0+1/1
               | authorize c2 as A               | DENY CALL_WINDOW_LIMIT

# A call_id that the old owner's attempt had is refused: the new hold would not count
profile atom; calls_per_window 1
+0             | accept as A+U                   | RECORDED
+1m            | authorize c1 as A               | ALLOW
+5m            | accept as A+V                   | RECORDED; window 0/1
               | authorize c1 as A               | REFUSED exists
               | authorize c2 as A               | ALLOW

# ... also where the new owner used the same id under the user id alone
profile atom; calls_per_window 2
+0             | accept as A+U                   | RECORDED
+1m            | authorize c1 as A               | ALLOW
+2m            | accept as V                     | RECORDED
               | authorize c1 as V               | ALLOW
+5m            | accept as A+V                   | RECORDED; window 0/2
               | authorize c1 as A               | REFUSED exists

# A reply of the former owner answers no request to the new one
profile atom
+0             | accept to r1 as A+U             | RECORDED
+1h            | identity as A+V                 | RECORDED; status NONE
+2h            | request r1 sent as A+V          | RECORDED; status PENDING

# A no of the former owner answers no request to the new one either
profile atom
+0             | reject to r1 as A+U             | RECORDED
+1h            | identity as A+V                 | RECORDED; status NONE
+2h            | request r1 sent as A+V          | RECORDED; status PENDING

# Of two owners seen at one time the one with the larger id is the owner
profile atom
+0             | identity as A+U                 | RECORDED
               | identity as A+V                 | RECORDED
               | view as A                       | user US.2000

# Of two owners seen at one time the one with the larger id is the owner, told the other way round
profile atom
+0             | identity as A+V                 | RECORDED
               | identity as A+U                 | RECORDED
               | view as A                       | user US.2000

# What was told at the instant at which both owners were seen is nobody's
profile atom
+0             | identity as A+U                 | RECORDED
               | accept as A                     | RECORDED; status GRANTED
               | identity as A+V                 | RECORDED; status NONE
+1ms           | accept as A                     | RECORDED; status GRANTED

# A number that came back: what was told at the last sight of the other owner is not the present one's
profile atom
+0             | identity as A+U                 | RECORDED
+1m            | identity as A+V                 | RECORDED
               | reject as A                     | RECORDED; status REJECTED
+2m            | identity as A+U                 | RECORDED; status NONE

# A number that came back: a no since the last sight of the other owner counts
profile atom
+0             | identity as A+U                 | RECORDED
+1m            | identity as A+V                 | RECORDED
+1m+1ms        | reject as A                     | RECORDED; status REJECTED
+2m            | identity as A+U                 | RECORDED; status REJECTED

# The owner is the owner since the first sight, however often seen again
profile atom
+0             | identity as A+V @-1m            | RECORDED
               | identity as A+U                 | RECORDED
+1m            | accept as A                     | RECORDED; status GRANTED
+2m            | identity as A+U                 | status GRANTED
+3m            | identity as A+U                 | status GRANTED

# The first sight may be told late
profile atom
+10m           | identity as A+V @+0             | RECORDED
               | identity as A+U @+5m            | RECORDED
               | accept as A @+3m                | RECORDED; status NONE
               | identity as A+U @+1m            | status GRANTED
               | view as A                       | status GRANTED; user US.1000

# An earlier sight that is told late does not make the owner less recent
profile atom
+10m           | identity as A+U @+5m            | RECORDED
               | identity as A+V @+3m            | RECORDED
               | view as A                       | user US.1000
               | identity as A+U @+1m            | DUPLICATE
               | view as A                       | user US.1000

# A number that goes back and forth is bound anew each time, and seen again it is not
profile atom
+0             | identity as A+U                 | RECORDED
+1m            | identity as A+V                 | RECORDED
+2m            | identity as A+U                 | RECORDED
+3m            | identity as A+V                 | RECORDED
+4m            | identity as A+V                 | DUPLICATE

# A number that came back: a yes counts from the newest sight of its owner on
profile atom
+0             | identity as A+U                 | RECORDED
+1m            | identity as A+V                 | RECORDED
+2m            | accept as A                     | RECORDED
               | accept as A @+2m+1ms            | RECORDED; status GRANTED
+3m            | identity as A+U @+2m+1ms        | RECORDED; status GRANTED
               | identity as A+U @+2m+2ms        | status NONE

# A no of a number's new owner is not the former one's, who has another number
profile atom
+0             | identity as A+U                 | RECORDED
+1s            | accept as B+U                   | RECORDED; status GRANTED
+1m            | identity as A+V                 | RECORDED
               | reject as A                     | RECORDED; status REJECTED
               | view as B                       | status GRANTED

# A no of a number's new owner is not the former one's, be the new one's id the smaller
profile atom
+0             | identity as A+V                 | RECORDED
+1s            | accept as B+V                   | RECORDED; status GRANTED
+1m            | identity as A+U                 | RECORDED
               | reject as A                     | RECORDED; status REJECTED
               | view as B                       | status GRANTED

# What the former owner of a number said is not the new one's, whose other number it does not touch
profile atom
+0             | identity as A+V                 | RECORDED
+1m            | accept as B+U                   | RECORDED; status GRANTED
+2m            | reject as A                     | RECORDED; status REJECTED
+3m            | identity as A+U                 | RECORDED; status NONE
               | view as B                       | status GRANTED

# What was the former owner's is kept up to the horizon: it may turn out late that it was the present one's
profile atom
+0             | identity as A+U                 | RECORDED
+5s            | call c0 answered as A           | RECORDED
+10s           | accept expires +60d as A        | RECORDED
+1m            | call c1 answered as A           | RECORDED; permission 1/35
+2m            | identity as A+V                 | RECORDED; status NONE
+8d+1m         | inbound message as A            | RECORDED; status NONE
               | identity as A+V @+1s            | status GRANTED; permission 1/35

# A no of the former owner is not lifted by a request to the new one
profile meta
+0             | reject to r1 as A+U             | RECORDED
+1h            | accept as A+V                   | RECORDED; status GRANTED
+2h            | request r1 sent as A+V          | RECORDED; status GRANTED

# ... nor when that request is folded
profile meta
+0             | reject to r1 as A+U             | RECORDED
+1h            | accept permanent as A+V         | RECORDED; status GRANTED
+2h            | request r1 sent as A+V          | RECORDED; status GRANTED
+3h            | request r2 sent as A+V          | RECORDED; status GRANTED
+9d            | inbound message as A            | RECORDED; status GRANTED
               | view as A                       | status GRANTED
               | view as A+V                     | status GRANTED

# A later no that was told by both ids outlives the bond as the first one does
profile atom
+0             | reject as A+U                   | RECORDED
+1h            | reject as A+U                   | RECORDED
+2h            | identity as A+V                 | RECORDED
               | accept @+30m as U               | RECORDED; grant none

# A no to a request, told again by the new owner, counts from that request on
> A reply that names a request is never before it, however the sender's clock stamped the request.
profile atom; request_ends_permission false
+0             | reject to r1 as A+U             | RECORDED; status REJECTED
+1d            | identity as A+V                 | RECORDED; status NONE
+1d+1m         | reject to r1 as A               | RECORDED; status REJECTED
+1d+2m         | accept as A                     | RECORDED; status GRANTED
               | request r1 sent as A @+1d+3m    | RECORDED; status REVOKED
+1d+4m         | check as A                      | DENY REVOKED

# A yes of the user id alone that one of both ids has replaced does not come back when the number has a new owner
profile atom
+0             | accept permanent as U           | RECORDED; status GRANTED
+1h            | accept as A+U                   | RECORDED; grant TEMPORARY
+8d            | check as U                      | DENY EXPIRED
               | identity as A+V                 | RECORDED
               | check as U                      | DENY
               | check as A                      | DENY NEVER_ASKED
               | check as V                      | DENY NEVER_ASKED

# ... in whichever order they are told
profile atom
+1h            | accept as A+U                   | RECORDED; grant TEMPORARY
               | accept permanent as U @+0       | RECORDED; grant TEMPORARY
+2h            | identity as A+V                 | RECORDED
               | check as U                      | DENY

# ... nor while the one that replaced it would still be in effect: it was given under the number
profile atom
+0             | accept permanent as U           | RECORDED; status GRANTED
+1h            | accept as A+U                   | RECORDED; grant TEMPORARY
+2h            | identity as A+V                 | RECORDED
               | check as U                      | DENY

# What was given later stays with the user id; of two at one time the temporary one counts
profile atom
+1s            | accept permanent as U @+1ms     | RECORDED; grant PERMANENT
               | accept as A+U @+2ms             | RECORDED; grant TEMPORARY
+1h            | identity as A+V                 | RECORDED
               | check as U                      | DENY
               | accept permanent as U @+2ms     | RECORDED; grant none
               | accept permanent as U @+3ms     | RECORDED; grant PERMANENT
               | check as U                      | ALLOW

# A temporary one that was told in both ways is one
profile atom
+0             | accept as A+U                   | RECORDED; grant TEMPORARY
               | accept as U                     | RECORDED; grant TEMPORARY
+1h            | identity as A+V                 | RECORDED
               | check as U                      | ALLOW

# A permanent one of both ids narrows nothing
profile atom
+0             | accept as U                     | RECORDED; grant TEMPORARY
+1h            | accept permanent as A+U         | RECORDED; grant PERMANENT
+2h            | identity as A+V                 | RECORDED
               | view as U                       | grant TEMPORARY; expires +7d

# ... but one that was told an end as well, which is temporary
profile atom
+0             | accept permanent as U           | RECORDED; grant PERMANENT
+1h            | accept permanent expires +1d as A+U | RECORDED; grant TEMPORARY
+2h            | identity as A+V                 | RECORDED
               | check as U                      | DENY

# As of a time before it was replaced the yes still stands
profile atom
+0             | accept permanent as U           | RECORDED; grant PERMANENT
+1h            | accept as A+U                   | RECORDED; grant TEMPORARY
+2h            | identity as A+V                 | RECORDED
               | check as_of +1h-1ms as U        | ALLOW
               | check as_of +1h as U            | DENY

# ... and so does an automatic one
profile atom
+0             | accept automatic expires +30d as U | RECORDED; status GRANTED
+1h            | accept automatic expires +1d as A+U | RECORDED; expires +1d
+2h            | identity as A+V                 | RECORDED
               | check as_of +1h-1ms as U        | ALLOW
               | check as_of +1h as U            | DENY

# A yes that was replaced has still answered its request
profile meta
+10s           | request r1 sent as U            | RECORDED; status PENDING
               | accept permanent to r1 as U @+5s | RECORDED; grant PERMANENT
+1h            | accept as A+U                   | RECORDED; grant TEMPORARY
+2h            | identity as A+V                 | RECORDED
               | view as U                       | status NONE

# An automatic yes is replaced by an automatic one alone
profile meta
+0             | accept automatic expires +30d as U | RECORDED; status GRANTED
               | accept permanent as U           | RECORDED; grant PERMANENT
+1h            | accept automatic expires +1d as A+U | RECORDED; grant PERMANENT
+2h            | identity as A+V                 | RECORDED
               | view as U                       | grant PERMANENT
               | accept as U                     | RECORDED; grant TEMPORARY; expires +7d+2h
+8d            | check as U                      | DENY

# ... and one of the customer's own hand by such a one alone
profile meta
+0             | accept automatic expires +30d as U | RECORDED; status GRANTED
               | accept as U                     | RECORDED; grant TEMPORARY; expires +30d
+1h            | accept as A+U                   | RECORDED; expires +30d
+2h            | identity as A+V                 | RECORDED
               | view as U                       | source INBOUND_CALL; expires +30d

# That an ACCEPT of both ids took the place of an older one is no news while it stands there itself
profile atom
+10s           | accept permanent as A+U         | RECORDED; grant PERMANENT
               | accept as A+U @+5s              | DUPLICATE; grant PERMANENT; revision same
               | accept permanent as U @+3s      | RECORDED; grant PERMANENT
+1h            | identity as A+V                 | RECORDED
               | check as U                      | DENY

# ... and is news where it does not
profile atom
+0             | accept permanent as U           | RECORDED; grant PERMANENT
               | identity as A+U @-1h            | RECORDED; grant PERMANENT
+1h            | identity as B+U                 | RECORDED; grant PERMANENT
+2h            | accept as A+U @+30m             | RECORDED
               | check as B                      | DENY
               | check as U                      | DENY

# ... also while they are bound, where it is from before the number came back
profile meta
+0             | accept permanent as U           | RECORDED; grant PERMANENT
+1h            | accept as A+V                   | RECORDED
+2h            | identity as A+U                 | RECORDED; grant PERMANENT
               | accept as A+U @+30m             | RECORDED; status NONE
               | accept as A+U @+30m             | DUPLICATE; status NONE
               | check as U                      | DENY

# That two ids were seen together at another time as well is news where facts count by it that did not
profile atom
+10m           | identity as A+V @+0             | RECORDED
               | identity as A+U @+5m            | RECORDED
               | accept as A @+3m                | RECORDED; status NONE
               | accept as A+U @+1m              | RECORDED; status GRANTED
               | accept as A+U @+1m              | DUPLICATE; status GRANTED; revision same
               | identity as A+U @+6m            | DUPLICATE; status GRANTED; revision same
