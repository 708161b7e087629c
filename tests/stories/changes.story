# A request is sent, lapses, and time tells it once
+0       | request r1 sent      | RECORDED; changes REQUEST_SENT @+0 from NONE to PENDING as A
+24h-1ms | settle               | status PENDING; changes none
+24h     | settle               | status LAPSED; changes REQUEST_LAPSED @+24h from PENDING to LAPSED
+24h     | settle               | changes none

# What time has changed is told before what happens next, at its own time
+0       | request r1 sent      | changes REQUEST_SENT
+30h     | request r2 sent      | changes REQUEST_LAPSED @+24h to LAPSED, REQUEST_SENT @+30h from LAPSED to PENDING

# Delivery starts the wait anew, and is told
+0       | request r1 sent      | changes REQUEST_SENT; valid_until +24h
+1m      | request r1 delivered | changes REQUEST_SENT @+1m from PENDING to PENDING; valid_until +24h1m

# A request that is told of when its wait is over
+0       | request r1 sent @-25h | status LAPSED; changes REQUEST_LAPSED @-25h from NONE to LAPSED

# A no to one of two requests lets the other one wait
+0       | request r1 sent      | changes REQUEST_SENT
+1h      | request r2 sent      | changes REQUEST_SENT @+1h from PENDING to PENDING; valid_until +25h
+2h      | reject to r2 @-1m    | changes CORRECTED @-1m from PENDING to PENDING; valid_until +24h
+24h     | settle               | changes REQUEST_LAPSED @+24h from PENDING

# A yes that was over before it was given answers, and gives nothing
+0       | request r1 sent      | changes REQUEST_SENT
+1m      | accept expires +30s  | status NONE; changes CORRECTED @+1m from PENDING to NONE

# A yes that is told of when it is over
+0       | accept @-8d          | status EXPIRED; changes EXPIRED @-8d from NONE to EXPIRED

# A temporary permission: given, soon over, over
+0       | accept               | changes ACCEPTED @+0 from NONE to GRANTED
+7d-1h-1ms | settle             | changes none
+7d-1h   | settle               | changes EXPIRING_SOON @+7d-1h from GRANTED to GRANTED
+7d-1ms  | settle               | changes none
+7d      | settle               | changes EXPIRED @+7d from GRANTED to EXPIRED
+30d     | settle               | changes none

# After an outage of all replicas everything is told, late, in its order and at its own time
profile atom; calls_per_window 1
+0       | accept               | changes ACCEPTED
+1h      | call c1 answered     | changes LIMIT_REACHED @+1h
+30d     | settle               | changes LIMIT_FREED @+25h from GRANTED to GRANTED, EXPIRING_SOON @+7d-1h,
         |                      | EXPIRED @+7d from GRANTED to EXPIRED

# A permission shorter than the notice is told as soon over at once
+0       | accept expires +30m  | changes ACCEPTED, EXPIRING_SOON @+0
+30m     | settle               | changes EXPIRED @+30m

# One that is soon over in the place of another is told as soon over again
+0       | accept expires +30m  | changes ACCEPTED from NONE to GRANTED, EXPIRING_SOON @+0 from GRANTED to GRANTED
+1m      | accept expires +40m  | changes ACCEPTED @+1m, EXPIRING_SOON @+1m

# A longer permission is not soon over any more, and will be again
+0       | accept expires +30m  | changes ACCEPTED, EXPIRING_SOON
+1m      | accept expires +2h   | changes ACCEPTED @+1m from GRANTED to GRANTED
+1h      | settle               | changes EXPIRING_SOON @+1h
+2h      | settle               | changes EXPIRED @+2h

# What was ended in its last second runs out all the same, where nothing else is newer
+0       | accept expires +10s500ms | changes ACCEPTED, EXPIRING_SOON
+10s200ms | request r1 undelivered | status NONE; changes SUPERSEDED @+10s200ms from GRANTED
+10s499ms | settle              | changes none
+10s500ms | settle              | status EXPIRED; changes EXPIRED @+10s500ms from NONE to EXPIRED

# What was ended by a fact ahead of the clock runs out all the same
+0       | accept expires +10m  | changes ACCEPTED, EXPIRING_SOON
+9m      | request r1 undelivered @+11m | status NONE; changes SUPERSEDED @+11m
+10m     | settle               | status EXPIRED; changes EXPIRED @+10m from NONE

# A permanent one is never soon over
+0       | accept permanent     | changes ACCEPTED
+399d    | settle               | changes none

# The customer says no: without, and with a permission in effect
+0       | reject               | changes REJECTED @+0 from NONE to REJECTED
+1m      | accept               | changes ACCEPTED from REJECTED to GRANTED
+2m      | reject               | changes REVOKED @+2m from GRANTED to REVOKED
+3m      | reject               | RECORDED; changes none

# Calling in gives permission, each call a longer one
+0       | inbound call         | changes INBOUND_CALL @+0 from NONE to GRANTED
+1m      | inbound call         | changes INBOUND_CALL @+1m from GRANTED to GRANTED; valid_until +7d1m
+7d1m    | settle               | changes EXPIRING_SOON @+7d-59m, EXPIRED @+7d1m

# The provider's automatic accept after a call is told as a call
profile meta
+0       | accept automatic     | changes INBOUND_CALL from NONE to GRANTED; source INBOUND_CALL

# A new request ends the permission in effect
+0       | accept               | changes ACCEPTED
+1m      | request r1 sent      | changes SUPERSEDED @+1m from GRANTED to PENDING
+24h1m   | settle               | changes REQUEST_LAPSED @+24h1m from PENDING

# Where it does not, the wait shows when the permission is over
profile meta
+0       | accept expires +3h   | changes ACCEPTED
+1h      | request r1 sent      | RECORDED; changes none
+2h      | settle               | changes EXPIRING_SOON @+2h
+3h      | settle               | changes EXPIRED @+3h from GRANTED to PENDING
+7d1h    | settle               | changes REQUEST_LAPSED @+7d1h from PENDING

# The second miss warns the customer, the fourth takes the permission away
+0       | accept               | changes ACCEPTED
+1m      | call c1 unanswered   | changes none
+2m      | call c2 rejected     | changes CUSTOMER_WARNED @+2m from GRANTED to GRANTED
+3m      | call c3 unanswered   | changes none
+4m      | call c4 unanswered   | changes AUTO_REVOKED @+4m from GRANTED to AUTO_REVOKED

# An answered call takes the warning back, and it can come again
+0       | accept               | changes ACCEPTED
+1m every 1m | call c1..c2 unanswered | RECORDED
+3m      | call c3 answered     | changes none
+4m      | call c4 unanswered   | changes none
+5m      | call c5 unanswered   | changes CUSTOMER_WARNED @+5m

# Misses without a permission warn and revoke as well
+1m      | call c1 unanswered   | changes none
+2m      | call c2 unanswered   | changes CUSTOMER_WARNED from NONE to NONE
+3m      | call c3 unanswered   | changes none
+4m      | call c4 unanswered   | changes AUTO_REVOKED from NONE

# A late answer undoes what was taken away
+0       | accept               | changes ACCEPTED
+1m every 1m | call c1..c3 unanswered | RECORDED
+4m      | call c4 unanswered   | changes AUTO_REVOKED
+5m      | call c4 answered @+4m | changes CORRECTED @+4m from AUTO_REVOKED to GRANTED

# The provider refuses a call for want of a permission
+0       | accept               | changes ACCEPTED
+1m      | call c1 failed error 138006 | changes AUTO_REVOKED @+1m from GRANTED

# What ends a permission is told as what it is, also where a request waits on
profile meta
+0       | accept               | changes ACCEPTED
+1m      | request r1 sent      | changes none
+2m every 1m | call c1..c3 unanswered | RECORDED
+6m      | call c4 unanswered   | changes AUTO_REVOKED @+6m from GRANTED to PENDING

# The same of the provider's taking-away
profile meta
+0       | accept               | changes ACCEPTED
+1m      | request r1 sent      | changes none
+2m      | reject automatic     | changes AUTO_REVOKED @+2m from GRANTED to PENDING

# The same of a refused call
profile meta
+0       | accept               | changes ACCEPTED
+1m      | request r1 sent      | changes none
+2m      | call c1 failed error 138006 | changes AUTO_REVOKED @+2m from GRANTED to PENDING

# The same of a no that comes late
profile meta
+0       | accept               | changes ACCEPTED
+2m      | request r1 sent      | changes none
+3m      | reject @+1m          | changes REVOKED @+1m from GRANTED to PENDING

# A yes that leaves no more than what a call gave is a yes
+0       | accept permanent     | changes ACCEPTED
+1m      | inbound call         | changes none
+2m      | accept expires +3m   | source INBOUND_CALL; changes ACCEPTED @+2m from GRANTED to GRANTED

# A yes and a no in one second
+0       | accept               | changes ACCEPTED
+500ms   | reject               | status REJECTED; changes REJECTED from GRANTED to REJECTED

# A request that never reached the customer is undone
+0       | request r1 sent      | changes REQUEST_SENT
+1m      | request r1 undelivered | changes CORRECTED @+1m from PENDING to NONE

# The window fills and frees
profile atom; calls_per_window 2
+0       | accept               | changes ACCEPTED
+1m      | call c1 answered     | changes none
+2m      | call c2 answered     | changes LIMIT_REACHED @+2m from GRANTED to GRANTED
+24h1m-1ms | settle             | changes none
+24h1m   | settle               | changes LIMIT_FREED @+24h1m from GRANTED to GRANTED
+24h2m   | settle               | changes none

# A held call fills the last slot; its lease frees it
profile atom; calls_per_window 1
+0       | accept               | changes ACCEPTED
+1m      | authorize c1         | ALLOW; changes LIMIT_REACHED @+1m
+2m30s-1ms | settle             | changes none
+2m30s   | settle               | changes LIMIT_FREED @+2m30s
+3m      | authorize c2         | ALLOW; changes LIMIT_REACHED @+3m
+3m10s   | call c2 unanswered   | changes LIMIT_FREED @+3m10s

# A lease that lapsed is told before the next hold
profile atom; calls_per_window 1
+0       | accept               | changes ACCEPTED
+1m      | authorize c1         | ALLOW; changes LIMIT_REACHED
+5m      | authorize c2         | ALLOW; changes LIMIT_FREED @+2m30s, LIMIT_REACHED @+5m

# A denial that takes its hold back frees the slot
profile atom; calls_per_window 1
+0       | accept               | changes ACCEPTED
+1m      | authorize c1         | ALLOW; changes LIMIT_REACHED
+2m      | number paused        | CHANGED; changes none
+2m      | authorize c1         | DENY; revision grew; changes LIMIT_FREED @+2m
+3m      | call c2 failed       | RECORDED; revision grew; changes none

# A hold under one of two ids is taken back, and told, where it was
profile atom; calls_per_window 1
+0       | accept as U          | changes ACCEPTED as U
+1m      | authorize c1 as U    | ALLOW; changes LIMIT_REACHED @+1m as U
+1m30s   | number paused        | CHANGED
         | authorize c1 as A+U  | DENY; changes LIMIT_FREED @+1m30s as U

# A refused step tells what time had changed before, once
+0       | call c1 answered     | changes none
+1m      | request r1 sent      | changes REQUEST_SENT
+25h     | authorize c1         | REFUSED exists; changes REQUEST_LAPSED @+24h1m
+25h     | settle               | changes none

# Both call quotas must have room
profile atom; calls_per_window 1; calls_per_permission 2
+0       | accept               | changes ACCEPTED
+1m      | call c1 answered     | changes LIMIT_REACHED @+1m
+25h     | call c2 answered     | changes LIMIT_FREED @+24h1m, LIMIT_REACHED @+25h
+50h     | settle               | changes none
+51h     | accept               | changes ACCEPTED, LIMIT_FREED @+51h
+9d3h    | settle               | changes EXPIRING_SOON @+9d2h, EXPIRED @+9d3h

# A full permission that outlasts the horizon has room again when its calls are too old
profile atom; calls_per_permission 1
+0       | accept expires +60d  | changes ACCEPTED
+1m      | call c1 answered     | changes LIMIT_REACHED @+1m
+8d1m    | settle               | changes none
+8d1m+1ms | settle              | changes LIMIT_FREED @+8d1m+1ms

# A call at the instant of the permission counts to it as long as any
profile atom; calls_per_permission 1
+0       | accept expires +60d  | changes ACCEPTED
         | call c1 answered     | changes LIMIT_REACHED @+0
+9d      | settle               | changes LIMIT_FREED @+8d+1ms

# A call that leaves the count at this very instant frees nothing again
profile atom; calls_per_permission 2
+0       | accept expires +60d  | changes ACCEPTED
+1m      | call c1 answered     | RECORDED
+2m      | call c2 answered     | changes LIMIT_REACHED @+2m
+3m      | call c3 answered     | RECORDED; permission 3/2
+8d1m+1ms | inbound message     | RECORDED; permission 2/2; changes none
+8d2m+1ms | settle              | changes LIMIT_FREED @+8d2m+1ms

# However many calls there were, an outage loses nothing of what time did
profile atom; calls_per_permission 1; calls_per_window 512
+0       | accept expires +60d  | changes ACCEPTED
+1m every 1m | call c1..c140 answered | RECORDED
+70d     | settle               | changes LIMIT_FREED @+8d140m+1ms, EXPIRING_SOON @+60d-1h, EXPIRED @+60d

# A lease that ends late keeps a full permission full
profile atom; calls_per_permission 1; calls_per_window 512
+0       | accept expires +60d  | changes ACCEPTED
+1m      | call c1 answered     | changes LIMIT_REACHED @+1m
+8d      | call c2 placed       | RECORDED
         | call c3 ringing      | changes none
+8d1m30s | settle               | status GRANTED; changes LIMIT_FREED @+8d1m30s

# Calls at once are no limit that is told
profile atom; calls_at_once 1
+0       | accept               | changes ACCEPTED
+1m      | authorize c1         | ALLOW; changes none

# A full window is told again with the next permission
profile atom; calls_per_window 1
+0       | accept               | changes ACCEPTED
+1m      | call c1 answered     | changes LIMIT_REACHED
+2m      | reject               | changes REVOKED
+3m      | accept               | changes ACCEPTED @+3m, LIMIT_REACHED @+3m

# All that one step changes is told in one order
profile atom; calls_per_window 1
+0       | call c1 answered     | changes none
+1m every 1m | call c2..c3 unanswered | RECORDED
+1h      | accept expires +90m  | changes ACCEPTED from NONE, LIMIT_REACHED from GRANTED, EXPIRING_SOON from GRANTED

# The number's callback setting changes what calling in gave
+0       | inbound call         | changes INBOUND_CALL
+1m      | number grants_inbound no | CHANGED; changes none
+1m      | settle               | status NONE; changes RULES @+1m from GRANTED to NONE
+2m      | number grants_inbound yes | CHANGED
+2m      | settle               | status GRANTED; changes RULES @+2m from NONE to GRANTED
+7d      | settle               | changes EXPIRING_SOON @+7d-1h, EXPIRED @+7d

# A setting that nobody was told of yet is told before what happens next
+0       | inbound call         | changes INBOUND_CALL
+1m      | number grants_inbound no | CHANGED
+2m      | inbound message      | changes RULES @+2m from GRANTED to NONE
+3m      | number grants_inbound yes | CHANGED
+4m      | reject               | changes RULES @+4m from NONE to GRANTED, REVOKED @+4m from GRANTED to REVOKED

# A late fact may follow a change that happened after it
+10m     | reject               | changes REJECTED @+10m
+11m     | accept @+5m          | changes REVOKED @+5m from REJECTED to REVOKED

# What is told twice changes nothing
+0       | accept               | RECORDED; changes ACCEPTED
+1m      | accept @+0           | DUPLICATE; changes none

# A replayed authorization tells nothing
profile atom; calls_per_window 1
+0       | accept               | changes ACCEPTED
+1m      | authorize c1         | ALLOW; changes LIMIT_REACHED
+1m      | authorize c1         | ALLOW; replayed yes; changes none

# A refused step tells nothing but what time had changed before
+0       | request r1 sent      | changes REQUEST_SENT
+1m      | accept               | changes ACCEPTED
+2m      | call c1 answered     | changes none
+3m      | authorize c1         | REFUSED exists; changes none

# Two ids become one customer's
+0       | accept as A          | changes ACCEPTED to GRANTED as A
+1m      | reject as U          | changes REJECTED to REJECTED as U
+2m      | identity as A+U      | changes IDENTITY @+2m from GRANTED to REVOKED as A+U
+3m      | accept as U          | changes ACCEPTED @+3m from REVOKED to GRANTED as A+U
+4m      | reject as A          | changes REVOKED @+4m from GRANTED to REVOKED as A+U

# A bond that changes nothing for one id is told for the other
+0       | accept as A          | changes ACCEPTED as A
+1m      | identity as A+U      | changes IDENTITY @+1m from NONE to GRANTED as A+U

# A bond and what was told with it
+0       | accept as A          | changes ACCEPTED as A
+1m      | reject as A+U        | changes IDENTITY @+1m from NONE to GRANTED as A+U, REVOKED @+1m from GRANTED as A+U

# Time tells a customer with two ids once
+0       | accept as A+U        | changes ACCEPTED as A+U
+7d      | settle as U          | changes EXPIRING_SOON @+7d-1h as A+U, EXPIRED @+7d as A+U
+7d      | settle as A          | changes none

# Two ids that were never seen together are settled both, and seen as one
+0       | accept expires +3h as U | changes ACCEPTED as U
         | reject @-1m as A     | changes REJECTED as A
+2h      | settle as A+U        | status GRANTED; changes EXPIRING_SOON @+2h as U
+3h      | settle as A+U        | status EXPIRED; changes EXPIRED @+3h as U
+4h      | settle as U          | changes none
+5h      | accept as A          | changes ACCEPTED as A
+6h      | settle as A+U        | status GRANTED; changes none

# A new owner has not consented, and the former one is told as well
+0       | accept as A+U        | changes ACCEPTED as A+U
+1m      | identity as A+V      | changes IDENTITY @+1m from GRANTED to NONE as A+V, IDENTITY @+1m from GRANTED to NONE as U

# An older owner seen late takes away what was told before the present one, who has another number by now
+15m     | accept as A          | changes ACCEPTED as A
+20m     | identity as A+V      | changes IDENTITY from NONE to GRANTED as A+V
+1h      | identity as B+V      | changes IDENTITY from GRANTED to NONE as B+V
+2h      | identity as A+U @+10m | changes IDENTITY @+10m from GRANTED to NONE as A

# A no under one of a user's numbers is told for the others
+0       | accept as U          | changes ACCEPTED as U
+1m      | identity as A+U      | changes IDENTITY as A+U
+2m      | identity as B+U      | RECORDED
+3m      | reject as B          | RECORDED; status REVOKED

# The forgotten are told
+0       | accept               | changes ACCEPTED
         | forget               | FORGOTTEN; changes FORGOTTEN from GRANTED to NONE as A
+1m      | accept               | changes ACCEPTED from NONE to GRANTED

# The forgotten are told once
needs clock
+0       | accept               | changes ACCEPTED
+1m      | forget               | FORGOTTEN; changes FORGOTTEN @+1m from GRANTED to NONE as A
+2m      | forget               | NOTHING; changes none
+8d      | settle               | changes none
+9d      | accept               | changes ACCEPTED from NONE

# Both ids of a forgotten customer are named
needs clock
+0       | accept as A+U        | changes ACCEPTED
+1m      | forget as U          | FORGOTTEN; changes FORGOTTEN from GRANTED to NONE as A+U

# A hold that fills the permission is told to be free when it lapses
profile atom; calls_per_permission 1
+0       | accept               | changes ACCEPTED
+1m      | authorize c1 lease 10s | ALLOW; changes LIMIT_REACHED @+1m
+1m10s-1ms | settle             | changes none
+1m10s   | settle               | changes LIMIT_FREED @+1m10s

# A step tells what has changed for those who share a number or a user with the customer, and for nobody else
+0       | identity as A+U      | RECORDED
+1s      | identity as B+U      | RECORDED
+2s      | identity as B+V      | RECORDED
         | accept expires +1h as 15550199003+V | RECORDED
+2h      | inbound message as A | RECORDED; changes none
         | inbound message as V | RECORDED; changes EXPIRED @+1h

# A no under one of two numbers that were both another's is told for the other
+0       | identity as A+U      | RECORDED
         | identity as B+U      | RECORDED
+1s      | identity as A+V      | RECORDED
+2s      | identity as B+V      | RECORDED
         | accept as B+V        | changes ACCEPTED as B+V
+1m      | reject as A          | changes REJECTED as A, REVOKED as B+V

# A call that turns out to have been answered gives back what was said before the misses
profile atom
+0             | reject                          | RECORDED; changes REJECTED from NONE to REJECTED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+5m            | call c4 answered @+4m           | RECORDED; changes CORRECTED from AUTO_REVOKED to REJECTED

# A permission that is to end soon gives way to one that ends sooner
profile atom
+0             | accept expires +3h              | RECORDED; changes ACCEPTED from NONE to GRANTED
+2h            | settle                          | changes EXPIRING_SOON from GRANTED to GRANTED
+2h10m         | accept expires +2h30m           | RECORDED; changes ACCEPTED from GRANTED to GRANTED,
               |                                 | EXPIRING_SOON from GRANTED to GRANTED

# A warning is told with the first event of a customer
profile atom; unanswered_warns_at 1
+0             | call c1 unanswered              | RECORDED; changes CUSTOMER_WARNED

# What a setting changed is told as that, and not as what both ids say, where an ALLOW sees them again
profile atom
+0             | accept as A+U                   | RECORDED
+1d            | inbound call as A+U             | RECORDED
               | number grants_inbound no        | CHANGED
+1d1m          | authorize c1 as A+U             | ALLOW; changes RULES
