# Own id first, the provider's later: one call
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; window 0+1/5
               | call c1/w1 placed               | RECORDED; window 0+1/5
+2m            | call /w1 answered               | RECORDED; window 1/5
               | call c1 answered @+2m           | window 1/5
               | authorize c1                    | REFUSED exists

# The provider's id first, own later: one call
profile atom
+0             | accept                          | RECORDED
+1m            | call /w1 answered               | RECORDED; window 1/5
+2m            | call c1 unanswered              | RECORDED; window 1/5; streak 1
+3m            | call c1/w1 placed               | RECORDED; window 1/5; streak 0
               | authorize c1                    | REFUSED exists

# Two that turn out to be one are one call from then on, for earlier reports too
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; streak 1
+1m10s         | call /w1 unanswered             | RECORDED; streak 2
+1m20s         | call c1/w1 ringing              | RECORDED; streak 1

# A repeated attempt under one own id is as many calls as it has provider ids
profile atom
+0             | accept                          | RECORDED
+1m            | call c1/w1 unanswered           | RECORDED; streak 1
+2m            | call c1/w2 unanswered           | RECORDED; streak 2
+3m            | call c1/w3 answered             | RECORDED; streak 0; window 1/5
+4m            | call c1/w4 answered             | RECORDED; window 2/5

# What is told by the own id alone belongs to the attempt reported earliest
profile atom
+0             | accept                          | RECORDED
+1m            | call c1/w1 placed               | RECORDED; window 0+1/5
+2m            | call c1/w2 placed               | RECORDED; window 0+2/5
+2m10s         | call c1 answered                | RECORDED; window 1+1/5
               | call /w2 unanswered             | RECORDED; window 1/5; streak 1

# Earliest is by the time of the call, not of the telling
profile atom
+0             | accept                          | RECORDED
+3m            | call c1/w2 unanswered @+2m      | RECORDED; streak 1
               | call c1 answered @+1m30s        | RECORDED; streak 0; window 1/5
               | call c1/w1 ringing @+1m         | RECORDED; streak 1; window 1/5
               | call /w1 answered @+1m10s       | RECORDED; streak 1; window 1/5

# Of two reported at one time the smaller provider id
profile atom
+0             | accept                          | RECORDED
+2m            | call c1/w2 ringing @+1m         | RECORDED
               | call c1/w1 ringing @+1m         | RECORDED; window 0+2/5
               | call c1 unanswered              | RECORDED; window 0+1/5; streak 1
               | call /w1 answered               | RECORDED; window 1+1/5; streak 0

# Of one id and time it is shown first what counts, then what is held and frees first
profile atom
+2m            | call c1/w3 placed dialled +1m   | RECORDED
               | call c1/w1 ringing @+1m         | RECORDED
               | call c1/w2 answered @+1m        | RECORDED
               | view                            | entries window c1 +1m > +24h1m,
               |                                 | c1 +1m > +2m30s held, c1 +1m > +3m30s held

# The same, told in another order
profile atom
+2m            | call c1/w2 answered @+1m        | RECORDED
               | call c1/w1 ringing @+1m         | RECORDED
               | call c1/w3 placed dialled +1m   | RECORDED
               | view                            | entries window c1 +1m > +24h1m,
               |                                 | c1 +1m > +2m30s held, c1 +1m > +3m30s held

# Of two that are held what frees first
profile atom
+2m            | call c1/w3 placed dialled +1m   | RECORDED
               | call c1/w1 ringing @+1m         | RECORDED
               | view                            | entries window c1 +1m > +2m30s held,
               |                                 | c1 +1m > +3m30s held

# Entries of one time are shown by their ids
profile atom
+2m            | call c1 ringing @+1m            | RECORDED
               | call c2 answered @+1m           | RECORDED
               | view                            | entries window c1 +1m > +2m30s held, c2 +1m > +24h1m

# Own ids and provider ids are two name spaces
profile atom
+0             | accept                          | RECORDED
+1m            | call x answered                 | RECORDED; window 1/5
               | call /x answered                | RECORDED; window 2/5
               | request x sent                  | RECORDED; week 1/2
               | request /x sent                 | RECORDED; week 2/2

# A request's two ids are linked the same way
profile atom
+0             | authorize-request r1            | ALLOW; day 0+1/1
               | request r1/m1 sent              | RECORDED; day 1/1
+1m            | request /m1 delivered           | RECORDED; valid_until +24h1m; day 1/1
+2m            | accept to m1                    | RECORDED; status GRANTED; source REQUEST

# The provider's id of a request first, own later: one request
profile atom
+0             | request /m1 sent                | RECORDED; day 1/1
               | request r1 sent                 | RECORDED; day 2/1
               | request r1/m1 sent              | RECORDED; day 1/1; week 1/2

# A reply may name a request by either id
profile atom
+10s           | request r1/m1 sent              | RECORDED; status PENDING
               | accept to m1 @+5s               | RECORDED; status GRANTED
+20s           | request r2/m2 sent              | RECORDED; status PENDING
               | accept to r2 @+15s              | RECORDED; status GRANTED

# A call webhook that names only the own id ends its hold
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
               | call c1 unanswered              | RECORDED; window 0/5; streak 1
+2m            | call c1/w1 unanswered           | RECORDED; streak 1

# The attempt reported earliest, be its provider id the larger
profile atom
+0             | accept                          | RECORDED
+1m            | call c1/w2 placed               | RECORDED
+2m            | call c1/w1 placed               | RECORDED; window 0+2/5
+2m10s         | call c1 answered                | RECORDED; window 1+1/5
               | call /w1 unanswered             | RECORDED; window 1/5; streak 1

# Of two reported at one time the smaller provider id, told in any order
profile atom
+0             | accept                          | RECORDED
+2m            | call c1/w1 ringing @+1m         | RECORDED
               | call c1/w2 ringing @+1m         | RECORDED; window 0+2/5
               | call c1 unanswered              | RECORDED; window 0+1/5; streak 1
               | call /w1 answered               | RECORDED; window 1+1/5; streak 0

# A call that the provider tells under two own ids is known by the smaller
profile atom
+0             | accept                          | RECORDED
+1m            | call c2/w1 answered             | RECORDED
               | call c1/w1 answered             | RECORDED
               | view                            | entries window c1 +1m > +24h1m
+2m            | call c3/w2 answered             | RECORDED
               | call c4/w2 answered             | DUPLICATE
               | view                            | entries window c1 +1m > +24h1m, c3 +2m > +24h2m

# A message's status counts only where the message is known as a request
profile atom
+0             | request /m5 delivered known_only | DUPLICATE; status NONE; revision same
               | request r5 delivered known_only | DUPLICATE; status NONE; revision same
               | request r5/m5 sent              | RECORDED; week 1/2
+1m            | request /m4 delivered known_only | DUPLICATE; revision same; week 1/2
               | request /m6 delivered known_only | DUPLICATE; revision same
               | request r4 delivered known_only | DUPLICATE; revision same
               | request r6 delivered known_only | DUPLICATE; revision same
               | request r4/m4 delivered known_only | DUPLICATE; revision same
               | request r6/m6 delivered known_only | DUPLICATE; revision same
               | request /m5 delivered known_only | RECORDED; week 1/2; valid_until +24h1m

# One of the two ids is enough to know a request by
profile atom
+0             | request r1 sent                 | RECORDED
+1m            | request r1/m1 delivered known_only | RECORDED; valid_until +24h1m
               | request /m2 sent                | RECORDED
+2m            | request r2/m2 delivered known_only | RECORDED; valid_until +24h2m

# An id that is not told is no id
profile atom
+0             | request r1 sent                 | RECORDED
               | request r2 delivered known_only | DUPLICATE; revision same
               | request /m3 sent                | RECORDED
               | request /m4 delivered known_only | DUPLICATE; revision same

# A yes under a number that one of the user id alone has replaced does not come back when the user goes on to another number
profile atom
+0             | accept permanent as A+U         | RECORDED; status GRANTED
+1h            | accept as U                     | RECORDED; grant TEMPORARY
+2h            | identity as B+U                 | RECORDED; grant TEMPORARY
               | check as A                      | DENY
+8d            | check as B                      | DENY EXPIRED
               | check as A                      | DENY

# ... nor one of the user id alone that one of both has replaced
profile atom
+0             | accept permanent as U           | RECORDED; status GRANTED
+1h            | accept as A+U                   | RECORDED; grant TEMPORARY
+2h            | identity as B+U                 | RECORDED; grant none
               | check as A                      | ALLOW
+8d            | check as A                      | DENY EXPIRED
               | check as U                      | DENY

# A later yes under the number stands there
profile atom
+0             | accept as U                     | RECORDED; status GRANTED
+1h            | accept permanent as A+U         | RECORDED; grant PERMANENT
+2h            | identity as B+U                 | RECORDED; grant TEMPORARY
+8d            | check as A                      | ALLOW

# A yes under another number of the user replaces nothing
profile atom
+0             | accept permanent as A+U         | RECORDED; status GRANTED
+1h            | accept as B+U                   | RECORDED; grant TEMPORARY
+8d            | check as B                      | DENY EXPIRED
               | check as A                      | ALLOW
+9d            | identity as A+U                 | RECORDED; grant PERMANENT

# A yes of the user id alone that one of the number alone has replaced does not come back either
profile atom
+0             | accept permanent as U           | RECORDED; status GRANTED
+1m            | identity as A+U                 | RECORDED
+1h            | accept as A                     | RECORDED; grant TEMPORARY
+8d            | check as U                      | DENY EXPIRED
               | authorize c1 as B+U             | DENY
               | identity as B+U                 | RECORDED
               | check as B                      | DENY
               | check as U                      | DENY

# ... nor an automatic one
profile meta
+0             | accept automatic expires +30d as U | RECORDED; status GRANTED
+1m            | identity as A+U                 | RECORDED
+1h            | accept automatic expires +1d as A | RECORDED; expires +1d
+2d            | identity as B+U                 | RECORDED
               | check as B                      | DENY

# A permanent one under another number replaces nothing
profile atom
+0             | accept as U                     | RECORDED; status GRANTED
+1m            | identity as A+U                 | RECORDED
+1h            | accept permanent as A           | RECORDED; grant PERMANENT
+2h            | identity as B+U                 | RECORDED; grant TEMPORARY; expires +7d

# A yes that was told in both ways stands under the number when the user goes on to another one
profile atom
+0             | accept permanent as A+U         | RECORDED; status GRANTED
               | accept permanent as U           | RECORDED; status GRANTED
+1h            | identity as B+U                 | RECORDED; grant PERMANENT
               | check as A                      | ALLOW

# Of more numbers than a record keeps the one that was seen first goes; told again, nothing is new
profile atom
+0 every 1s    | identity as 15550199011+U       | RECORDED
               | identity as 15550199012+U       | RECORDED
               | identity as 15550199013+U       | RECORDED
               | identity as 15550199014+U       | RECORDED
               | identity as 15550199015+U       | RECORDED
               | identity as 15550199016+U       | RECORDED
               | identity as 15550199017+U       | RECORDED
               | identity as 15550199018+U       | RECORDED
+1m            | identity as A+U @-1h            | RECORDED
               | identity as A+U @-1h            | DUPLICATE

# As of a time before it was replaced the yes under the number still stands
profile atom
+0             | accept permanent as A+U         | RECORDED; status GRANTED
+1h            | identity as B+U                 | RECORDED; grant none
+3h            | accept as U                     | RECORDED; grant TEMPORARY
+4h            | check as A                      | DENY
               | check as_of +3h-1ms as A        | ALLOW
               | check as_of +3h as A            | DENY

# An ACCEPT that the number alone was told of before is no news of both ids; what it replaces stays replaced
profile atom
+0             | accept permanent as U           | RECORDED
+1s            | identity as A+U                 | RECORDED
+10s           | identity as A+U                 | DUPLICATE
               | accept as A @+5s                | RECORDED; grant TEMPORARY
               | accept as A+U @+5s              | DUPLICATE; revision same
+1h            | identity as A+V                 | RECORDED
               | check as U                      | DENY

# What was recorded of two ids at once counts one revision of both
profile atom
+0             | identity as A+U                 | RECORDED
+1m            | call c1 unanswered as A         | RECORDED; revision grew
               | view as U                       | revision same
+2m            | call c2 unanswered as U         | RECORDED; revision grew
               | view as A                       | revision same
