# Accept and reject in one second: the ending wins, whatever the milliseconds say
profile atom
+1s            | accept @+999ms                  | RECORDED; status GRANTED
               | reject @+0                      | RECORDED; status REJECTED; grant none

# Accept in the second after a reject stands
profile atom
+2s            | reject @+999ms                  | RECORDED; status REJECTED
               | accept @+1s                     | RECORDED; status GRANTED

# Accept in the second before a reject is ended
profile atom
+2s            | accept @+999ms                  | RECORDED; status GRANTED
               | reject @+1s                     | RECORDED; status REVOKED

# Auto-revocation and accept in one second: the ending wins
profile atom
+1s            | call c1..c3 unanswered          | RECORDED
+5s            | call c4 unanswered @+4s         | RECORDED; status AUTO_REVOKED
               | accept @+4s999ms                | RECORDED; status AUTO_REVOKED
               | accept @+5s                     | RECORDED; status GRANTED; streak 0

# Taken away and accepted in one second: the ending wins
profile atom
+5s            | reject automatic @+4s           | RECORDED; status AUTO_REVOKED
               | accept @+4s999ms                | RECORDED; status AUTO_REVOKED
               | accept @+5s                     | RECORDED; status GRANTED

# Request and accept in one second: the accept stands
> Only a request of a later second ends what was given.
profile atom
+10s           | request r1 sent @+9s900ms       | RECORDED; status PENDING
               | accept @+9s                     | RECORDED; status GRANTED; source BUSINESS_PROFILE

# An accept in the second before the request is ended by it
profile atom
+10s           | request r1 sent @+9s            | RECORDED; status PENDING
               | accept @+8s999ms                | RECORDED; status PENDING

# A reply that names a request is never before it
profile atom
+10s           | request r1 sent                 | RECORDED; status PENDING
               | accept to r1 @+5s               | RECORDED; status GRANTED; source REQUEST

# A refusal that names a request is never before it
profile atom
+10s           | request r1 sent                 | RECORDED; status PENDING
               | reject to r1 @+5s               | RECORDED; status REJECTED
+25h           | view                            | status REJECTED

# A refusal that names no request and is dated before it answers nothing
profile atom
+10s           | request r1 sent                 | RECORDED; status PENDING
               | reject @+9s999ms                | RECORDED; status PENDING
+24h+10s       | view                            | status LAPSED

# A refusal in the second of the request answers it
profile atom
+10s           | request r1 sent @+9s900ms       | RECORDED; status PENDING
               | reject @+9s                     | RECORDED; status REJECTED

# A reply lifted to its request ends what was given in that second
profile meta
+10s           | accept @+10s                    | RECORDED; status GRANTED
               | request r1 sent @+10s           | RECORDED; status GRANTED
               | reject to r1 @+5s               | RECORDED; grant none

# A refusal lifted to its request ends what calling in gave before the request
profile meta
+10s           | accept automatic @+8s           | RECORDED; status GRANTED
               | request r1 sent @+9s            | RECORDED; status GRANTED
               | reject to r1 @+5s               | RECORDED; grant none

# A refusal lifted to its request starts the streak anew there
profile meta
+10s           | request r1 sent @+9s            | RECORDED
               | call c1 unanswered @+7s         | RECORDED; streak 1
               | reject to r1 @+5s               | RECORDED; streak 0

# An accept is not lifted over a no that came after it: the narrower reading
profile atom
+10s           | reject @+6s                     | RECORDED
               | request r1 sent @+9s            | RECORDED; status PENDING
               | accept to r1 @+5s               | RECORDED; status REVOKED

# The streak in one second: endings, then answered calls, then misses
profile atom
+1s            | call c1 unanswered              | RECORDED; streak 1
+3s            | call c2 answered @+2s900ms      | RECORDED; streak 0
               | call c3 unanswered @+2s100ms    | RECORDED; streak 1
               | call c4 answered @+2s200ms      | RECORDED; streak 1
+4s            | call c5 answered @+3s           | RECORDED; streak 0

# A reject and a miss in one second: the miss counts
profile atom
+3s            | call c1 unanswered @+1s         | RECORDED; streak 1
               | call c2 unanswered @+2s100ms    | RECORDED; streak 2
               | reject @+2s900ms                | RECORDED; streak 1

# Windows stay to the millisecond
> Whole seconds are for consent only.
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1s            | call c1 answered @+1s500ms      | RECORDED
+24h+1s499ms   | view                            | window 1/1
+24h+1s500ms   | view                            | window 0/1

# Of two attempts of one request at one time the larger provider id is the newest
> The yes is not ended by the request that it names.
profile atom
+10s           | request r1/m1 sent              | RECORDED
               | request r1/m2 sent              | RECORDED
               | accept to m2 @+5s               | RECORDED; status GRANTED

# Of two attempts of one request at one time the larger provider id is the newest, told in any order
profile atom
+10s           | request r1/m2 sent              | RECORDED
               | request r1/m1 sent              | RECORDED
               | accept to m2 @+5s               | RECORDED; status GRANTED

# A yes to the smaller of two attempts at one time is ended by the larger
profile atom
+10s           | request r1/m2 sent              | RECORDED
               | request r1/m1 sent              | RECORDED
               | accept to m1 @+5s               | RECORDED; status PENDING

# Of two requests at one time the one with the larger id of ours is the newest, whatever the provider's
profile atom
+10s           | request b/m1 sent               | RECORDED
               | request a/m2 sent               | RECORDED
               | accept to m1 @+5s               | RECORDED; status GRANTED

# A no is lifted by the request that it names alone
profile meta; requests_per_day 9; requests_per_week 9
+0             | request r1/m1 sent              | RECORDED
+10s           | request r0/m0 sent              | RECORDED
               | request r2/m2 sent              | RECORDED
               | reject to r1 @+5s               | RECORDED
               | accept @+7s                     | RECORDED; status GRANTED

# ... by whichever id it names it
profile meta; requests_per_day 9; requests_per_week 9
+0             | request r1/m1 sent              | RECORDED
+10s           | request r0/m0 sent              | RECORDED
               | request r2/m2 sent              | RECORDED
               | reject to m1 @+5s               | RECORDED
               | accept @+7s                     | RECORDED; status GRANTED

# A no that names no request is lifted by none
profile meta; requests_per_day 9; requests_per_week 9
+10s           | request /m1 sent                | RECORDED
               | request r1 sent                 | RECORDED
               | reject @+5s                     | RECORDED
               | accept @+7s                     | RECORDED; status GRANTED

# A no that names a request counts from that request, told before a newer no or after it
profile meta
+10s           | reject to r1 @+5s               | RECORDED
               | request r1 sent @+10s           | RECORDED
               | accept permanent @+7s           | RECORDED; status REVOKED
               | reject @+6s                     | RECORDED; status REVOKED; grant none
               | authorize c1                    | DENY REVOKED

# ... and where the request is told last
profile meta
+10s           | reject @+6s                     | RECORDED
               | reject to r1 @+5s               | RECORDED
               | accept permanent @+7s           | RECORDED; status GRANTED
               | request r1 sent @+10s           | RECORDED; status REVOKED; grant none

# ... of two that name requests, the one whose request is the newer
profile meta; requests_per_day 9; requests_per_week 9
+10s           | request r1 sent @+10s           | RECORDED
               | request r2 sent @+4s            | RECORDED
               | reject to r1 @+5s               | RECORDED
               | accept permanent @+7s           | RECORDED; status REVOKED
               | reject to r2 @+6s               | RECORDED; status REVOKED; grant none
               | reject to r1 @+5s               | DUPLICATE
               | reject to r1 @+5s1ms            | RECORDED; status REVOKED

# A request that any no names is answered
profile meta; requests_per_day 9; requests_per_week 9
+10s           | request r1 sent @+10s           | RECORDED; status PENDING
               | reject to r1 @+5s               | RECORDED; status REJECTED
               | reject @+6s                     | RECORDED; status REJECTED
               | reject to r2 @+7s               | RECORDED; status REJECTED

# The newest 16 no that name requests are kept; of two at one time those with the larger ids
profile meta; requests_per_day 99; requests_per_week 99
+1m            | reject to r01 @+1s              | RECORDED
               | reject to r02 @+1s              | RECORDED
               | reject to r03 @+2s              | RECORDED
               | reject to r04 @+2s              | RECORDED
               | reject to r05 @+2s              | RECORDED
               | reject to r06 @+2s              | RECORDED
               | reject to r07 @+2s              | RECORDED
               | reject to r08 @+2s              | RECORDED
               | reject to r09 @+2s              | RECORDED
               | reject to r10 @+2s              | RECORDED
               | reject to r11 @+2s              | RECORDED
               | reject to r12 @+2s              | RECORDED
               | reject to r13 @+2s              | RECORDED
               | reject to r14 @+2s              | RECORDED
               | reject to r15 @+2s              | RECORDED
               | reject to r16 @+2s              | RECORDED
               | accept permanent @+10s          | RECORDED; status GRANTED
               | request r01/m00 sent @+15s      | RECORDED; status REVOKED
               | reject to r00 @+999ms           | DUPLICATE
               | reject to r00 @+1s              | DUPLICATE
               | accept permanent @+20s          | RECORDED; status GRANTED
               | request r00 sent @+25s          | RECORDED; status GRANTED
               | request r02/m20 sent @+30s      | RECORDED; grant none
               | reject to a @+1s1ms             | RECORDED
               | accept permanent @+40s          | RECORDED; status GRANTED
               | request r01/m01 sent @+50s      | RECORDED; status GRANTED
               | reject to b @+1s2ms             | RECORDED
               | request r02/m02 sent @+50s      | RECORDED; status GRANTED
               | request a sent @+50s            | RECORDED; grant none

# ... in whatever order they were told
profile meta; requests_per_day 99; requests_per_week 99
+1m            | reject to r03 @+2s              | RECORDED
               | reject to r01 @+1s              | RECORDED
               | reject to r02 @+1s              | RECORDED
               | reject to r04 @+2s              | RECORDED
               | reject to r05 @+2s              | RECORDED
               | reject to r06 @+2s              | RECORDED
               | reject to r07 @+2s              | RECORDED
               | reject to r08 @+2s              | RECORDED
               | reject to r09 @+2s              | RECORDED
               | reject to r10 @+2s              | RECORDED
               | reject to r11 @+2s              | RECORDED
               | reject to r12 @+2s              | RECORDED
               | reject to r13 @+2s              | RECORDED
               | reject to r14 @+2s              | RECORDED
               | reject to r15 @+2s              | RECORDED
               | reject to r16 @+2s              | RECORDED
               | reject to r17 @+2s              | RECORDED
               | accept permanent @+10s          | RECORDED
               | request r01 sent @+15s          | RECORDED; status GRANTED
               | request r02 sent @+15s          | RECORDED; grant none
               | accept permanent @+20s          | RECORDED; status GRANTED
               | reject to r18 @+2s              | RECORDED
               | reject to a @+2s                | DUPLICATE
               | request a sent @+30s            | RECORDED; status GRANTED
               | request r03 sent @+30s          | RECORDED; grant none
