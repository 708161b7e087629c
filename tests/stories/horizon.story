# A report of a call or request older than the horizon is stale
> The horizon: the longest of call_window, temporary_permission and 7 d, plus 1 d. Here 8 d.
profile atom
+0             | call c1 answered @-8d-1ms       | STALE; revision same
               | call c2 unanswered @-8d         | RECORDED; streak 1
               | call c3 unanswered @-8d+1ms     | RECORDED; streak 2
               | request r1 sent @-8d-1ms        | STALE; status NONE; revision same
               | request r2 sent @-8d            | RECORDED; status LAPSED
               | request r3 sent @-8d+1ms        | RECORDED

# A longer call window makes a longer horizon
profile atom; call_window 10d
+0             | call c1 answered @-11d-1ms      | STALE
               | call c2 unanswered @-11d        | RECORDED; streak 1
               | call c3 unanswered @-11d+1ms    | RECORDED; streak 2

# A longer permission makes a longer horizon
profile atom; temporary_permission 20d
+0             | call c1 unanswered @-21d-1ms    | STALE
               | call c2 unanswered @-21d        | RECORDED; streak 1
               | call c3 unanswered @-21d+1ms    | RECORDED; streak 2

# Shorter windows never make the horizon shorter than eight days
profile atom; call_window 1h; temporary_permission 2h
+0             | call c1 unanswered @-8d-1ms     | STALE
               | call c2 unanswered @-8d         | RECORDED; streak 1

# The streak goes on from where the folded calls left it
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+9d            | inbound message                 | RECORDED; status GRANTED; streak 3
               | call c1 answered @+1m           | STALE; streak 3
               | call c4 unanswered              | RECORDED; status AUTO_REVOKED; streak 0

# A folded answered call still ends the run before it
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+4m            | call c4 answered                | RECORDED; streak 0
+5m            | call c5 unanswered              | RECORDED; streak 1
+9d            | inbound message                 | RECORDED; streak 1; window 0/5
               | call c6 unanswered              | RECORDED; streak 2; status GRANTED

# A folded auto-revocation goes on ending what was given before it
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+5m            | view                            | status AUTO_REVOKED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED; streak 0
+10d           | accept permanent                | RECORDED; status GRANTED

# A folded request goes on ending what was given before it
profile atom
+0             | accept permanent                | RECORDED; status GRANTED
+1h            | request r1 sent                 | RECORDED; status PENDING
+25h           | view                            | status LAPSED
+10d           | view                            | status LAPSED
               | inbound message                 | RECORDED; status LAPSED
               | check                           | DENY REQUEST_LAPSED

# A folded request knows its delivery, and a late reply that names it
profile meta; request_lapses_after 30d
+0             | request r1/m1 sent              | RECORDED; valid_until +30d
+1d            | request /m1 delivered           | RECORDED; valid_until +31d
+15d           | inbound message                 | RECORDED; status PENDING; valid_until +31d
+31d-1ms       | view                            | status PENDING
+31d           | view                            | status LAPSED

# A refused request is folded, and its id names a new one
profile atom
+0             | request r1 refused              | RECORDED
+8d            | inbound message                 | RECORDED
               | authorize-request r1            | REFUSED exists
+8d+1s         | inbound message                 | RECORDED
               | authorize-request r1            | ALLOW

# A folded call that was refused with 138006 goes on ending what was given before it
profile meta
+0             | accept permanent                | RECORDED
+1m            | call /w1 failed error 138006    | RECORDED; status AUTO_REVOKED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED
+10d           | view                            | status AUTO_REVOKED

# Folding changes nothing that people see
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+6m            | reject                          | RECORDED; status REVOKED; streak 0
+9d            | view                            | status REVOKED; streak 0
               | inbound message                 | RECORDED; status REVOKED; streak 0

# Folding a request keeps who is waited for, and the quotas
profile meta
+0             | request r1 sent                 | RECORDED
+5d            | request r2 sent                 | RECORDED; week 2/2
+9d            | inbound message                 | RECORDED; status PENDING; valid_until +12d; week 1/2
+12d           | view                            | status LAPSED
+14d           | inbound message                 | RECORDED; status LAPSED; week 0/2
+20d           | accept to r2                    | RECORDED; status GRANTED; source REQUEST

# A reject in the second of a folded miss does not start the streak anew once more
profile atom
+10s           | call c1 unanswered @+10s        | RECORDED; streak 1
               | reject @+10s                    | RECORDED; streak 1
+9d            | inbound message                 | RECORDED; streak 1
               | call c2 unanswered              | RECORDED; streak 2

# Folding sees the calls under both ids: an auto-revocation
profile atom
+0             | accept permanent as A+U         | RECORDED
+1m every 1m   | call c1..c2 unanswered as A     | RECORDED
+3m every 1m   | call c3..c4 unanswered as U     | RECORDED
+9d            | view as A                       | status AUTO_REVOKED
               | inbound message as A+U          | RECORDED
               | inbound message as U @+8d       | RECORDED
               | check as A                      | DENY AUTO_REVOKED
               | check as U                      | DENY AUTO_REVOKED

# Folding sees the calls under both ids: a run of misses, and the call that ended one
profile atom
+0             | accept permanent as A+U         | RECORDED
+1m            | call c1 unanswered as A         | RECORDED
+2m            | call c2 answered as U           | RECORDED
+3m            | call c3 unanswered as U         | RECORDED
+4m            | call c4 unanswered as A         | RECORDED; streak 2
+9d            | inbound message as A            | RECORDED; streak 2
               | inbound message as U            | RECORDED; streak 2
               | call c5 unanswered as U         | RECORDED; streak 3
               | call c6 unanswered as A         | RECORDED; streak 0; status AUTO_REVOKED

# Folding sees the calls under every number, once
profile atom
+0             | accept permanent as U           | RECORDED
               | identity as A+U                 | RECORDED
+1m            | call c1 unanswered as A         | RECORDED; streak 1
+2m            | identity as B+U                 | RECORDED
+3m            | call c2 unanswered as B         | RECORDED; streak 2
+9d            | inbound message as B            | RECORDED; streak 2
               | view as A                       | streak 2
               | view as U                       | streak 2; status GRANTED
               | call c3 unanswered as B         | RECORDED; streak 3
               | call c4 unanswered as A         | RECORDED; streak 0
               | view as U                       | streak 0; status AUTO_REVOKED

# Folding leaves out the misses of the owner before
profile atom
+0             | identity as A+U                 | RECORDED
+1m every 1m   | call c1..c3 unanswered as A     | RECORDED
+1h            | identity as A+V                 | RECORDED; streak 0
+1h+1m         | call c4 unanswered as A         | RECORDED; streak 1
+1h+2m         | accept permanent as A           | RECORDED
+1h+3m every 1m | call c5..c6 unanswered as A    | RECORDED
+9d            | inbound message as A            | RECORDED; streak 3
               | view as A                       | streak 3; status GRANTED
               | call c7 unanswered as A         | RECORDED; status AUTO_REVOKED

# Calls fold in the order in which they are walked, however long their leases were
profile atom
+0             | accept permanent                | RECORDED
+1m            | authorize c1                    | ALLOW
+1m1s          | call c1 answered                | RECORDED
+1m10s         | call c2 unanswered              | RECORDED; streak 1
+8d+1m50s      | inbound message                 | RECORDED; streak 1
+8d+5m         | inbound message                 | RECORDED; streak 1
               | view                            | streak 1

# A folded auto-revocation does not turn a later REVOKED into REJECTED
> Auto-revocations before the newest reject are not looked at for REVOKED.
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED
               | reject                          | RECORDED; status REVOKED

# A call that holds is not summed up, however long ago it was authorized
profile atom; lease 9d; calls_at_once 3
+0             | accept permanent                | RECORDED
               | authorize c1                    | ALLOW; lease +9d
               | authorize c2                    | ALLOW
               | call c2 placed                  | RECORDED
               | authorize c3                    | ALLOW
               | call c3 ringing                 | RECORDED; window 0+3/5
+9d-1ms        | inbound message                 | RECORDED; window 0+3/5
               | authorize c4                    | DENY CALL_IN_PROGRESS; callable +9d
+9d            | view                            | window 0/5

# A request that holds is not summed up either
profile atom; lease 9d
+0             | authorize-request r1            | ALLOW; lease +9d
+9d-1ms        | inbound message                 | RECORDED; week 0+1/2
               | authorize-request r2            | DENY REQUEST_DAY_LIMIT
+9d            | view                            | week 0/2

# A call leaves the permission's count a millisecond after the horizon
profile atom
+0             | accept expires +60d             | RECORDED
+30s           | call c0 answered                | RECORDED; permission 1/35
+1m            | call c1 answered                | RECORDED; permission 2/35
+8d+1m         | inbound message                 | RECORDED; permission 1/35
+8d+1m+1ms     | inbound message                 | RECORDED; permission 0/35

# What was told by our id alone is summed up with the attempt to which it belongs
profile atom
+0             | call c1/w1 placed               | RECORDED
+1m            | call c1 answered                | RECORDED; window 1/5
+2d            | call c1/w2 unanswered           | RECORDED; streak 1
+8d+1m+1s      | inbound message                 | RECORDED; streak 1
               | view                            | streak 1

# ... and stays with it
profile atom
+0             | accept expires +60d             | RECORDED
               | call c1/w1 ringing              | RECORDED
+1m            | call c1/w2 unanswered           | RECORDED; streak 1
+2d            | call c1 answered                | RECORDED; permission 1/35
+8d+1m+1s      | inbound message                 | RECORDED; permission 1/35
               | view                            | permission 1/35

# ... be its provider id the larger
profile atom
+0             | accept expires +60d             | RECORDED
               | call c1/w2 ringing              | RECORDED
+1m            | call c1/w1 unanswered           | RECORDED; streak 1
+2d            | call c1 answered                | RECORDED; permission 1/35
+8d+1m+1s      | inbound message                 | RECORDED; permission 1/35
               | view                            | permission 1/35

# A hold goes with the call that it was for, however long it was to last
profile atom; lease 9d
+0             | accept permanent                | RECORDED
               | authorize c1                    | ALLOW; lease +9d
+1m            | call c1/w1 unanswered           | RECORDED; window 0/5
+8d+1m+1s      | inbound message                 | RECORDED; window 0/5; streak 1
               | view                            | window 0/5; streak 1

# Of one second all or nothing is folded: an answered call that is told late stays before the miss
> At one second: endings, then answered calls, then misses.
profile meta
+0             | call c1 unanswered              | RECORDED; streak 1
+8d500ms       | inbound message                 | RECORDED; streak 1
               | call c2 answered picked_up +501ms | RECORDED; streak 1

# A call that rings holds its slot, however long ago it was dialled
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1h            | call c1 placed dialled -7d-23h  | RECORDED; window 0+1/1
+1h+1ms        | inbound message                 | RECORDED; window 0+1/1
               | authorize c2                    | DENY CALL_WINDOW_LIMIT; callable +1h1m30s

# A folded auto-revocation outlives a no that was newer by the request that it named
profile meta; unanswered_warns_at 1; unanswered_revokes_at 2
+10s           | reject to r1 @+5s               | RECORDED
               | request r1 sent @+10s           | RECORDED
               | call c1 unanswered @+8s100ms    | RECORDED
               | call c2 unanswered @+8s200ms    | RECORDED
               | accept permanent @+7s           | RECORDED; status REVOKED
+9d            | inbound message                 | RECORDED; grant none
               | reject @+6s                     | RECORDED; grant none
               | authorize c3                    | DENY REVOKED

# A no that is not older than the horizon does not undo the misses that are
profile meta
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+5d            | call c4 unanswered              | RECORDED; status AUTO_REVOKED
+6d            | reject                          | RECORDED
               | view as_of +5d12h               | status AUTO_REVOKED; streak 0
+9d            | inbound message                 | RECORDED; grant none
               | view as_of +5d12h               | status AUTO_REVOKED; streak 0

# ... nor does one under another number, which has a new owner since
profile meta
+0             | identity as A+U                 | RECORDED
               | accept permanent as A           | RECORDED; status GRANTED
+1s            | identity as B+U                 | RECORDED
+1m every 1m   | call c1..c3 unanswered as A     | RECORDED
+5d            | call c4 unanswered as A         | RECORDED; status AUTO_REVOKED
+6d            | reject as B                     | RECORDED
+9d            | inbound message as A            | RECORDED; grant none
+10d           | identity as B+V                 | RECORDED
               | authorize c5 as A               | DENY AUTO_REVOKED

# ... be it at the very start of the horizon's second
profile meta
+0             | identity as A+U                 | RECORDED
               | accept permanent as A           | RECORDED; status GRANTED
+1s            | identity as B+U                 | RECORDED
+1m every 1m   | call c1..c3 unanswered as A     | RECORDED
+1d            | reject as B                     | RECORDED
+1d1m          | call c4 unanswered as A         | RECORDED
+9d            | inbound message as A            | RECORDED; grant none
               | identity as B+V                 | RECORDED
               | authorize c5 as A               | DENY AUTO_REVOKED

# A call at the very start of the horizon's second is not folded
profile meta
+0             | call c0 unanswered              | RECORDED; streak 1
+1s            | call c1 unanswered              | RECORDED; streak 2
+8d+1s         | inbound message                 | RECORDED; streak 2
               | call c2 answered picked_up +1s500ms | RECORDED; streak 1

# Two streaks that were folded apart at one time add up
profile atom
+0             | call c1 unanswered as A         | RECORDED
               | call c2 unanswered as A         | RECORDED
               | call c3 unanswered as U         | RECORDED
+9d            | inbound message as A            | RECORDED; streak 2
               | inbound message as U            | RECORDED; streak 1
+9d1s          | identity as A+U                 | RECORDED; streak 3

# A request at the very start of the horizon's second is not folded, and no other stays the less for it
profile meta-sandbox
+0             | request r1 sent                 | RECORDED
+1d            | request r2 sent                 | RECORDED
+9d            | inbound message                 | RECORDED
               | authorize-request r1            | REFUSED exists

# Where no call is old enough, nothing is folded: a no under another number does not undo the streak
profile meta
+0             | identity as A+U                 | RECORDED
               | accept permanent as A           | RECORDED
+1s            | identity as B+U                 | RECORDED
+1m every 1m   | call c1..c3 unanswered as A     | RECORDED
+1d12h         | reject as B                     | RECORDED
+2d            | call c4 unanswered as A         | RECORDED
+9d            | inbound message as A            | RECORDED
+10d           | inbound message as A            | RECORDED
               | identity as B+V                 | RECORDED
               | view as A                       | status AUTO_REVOKED; streak 0

# A no that counts from the request that it names does so when that request is folded
profile meta
+10s           | reject to r1 @+5s               | RECORDED
               | request r1 sent @+10s           | RECORDED
               | accept permanent @+7s           | RECORDED; status REVOKED
+1h            | request r2 sent                 | RECORDED
+9d            | inbound message                 | RECORDED; grant none
               | view                            | grant none
