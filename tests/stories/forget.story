# Forgetting leaves nothing, and says whether there was anything
profile atom
needs clock
+0             | forget                          | NOTHING
+1s            | accept permanent                | RECORDED
               | call c1 answered                | RECORDED
+1h            | forget                          | FORGOTTEN
               | view                            | status NONE; window 0/5; conversation never
               | forget                          | NOTHING

# A redelivered webhook does not bring consent back
profile atom
needs clock
+0             | accept permanent                | RECORDED
               | request r1 sent                 | RECORDED
               | call c1 answered                | RECORDED
+1h            | forget                          | FORGOTTEN
+1h+1m         | accept permanent @+0            | STALE; status NONE; revision same
               | request r1 sent @+0             | STALE
               | call c1 answered @+0            | STALE
               | inbound message @+1h-1ms        | STALE
               | accept @+1h+1ms                 | RECORDED; status GRANTED

# Facts ahead of the clock are erased for good as well
profile atom
needs clock
+0             | accept permanent @+4m           | RECORDED; status GRANTED
               | forget                          | FORGOTTEN
+5m            | accept permanent @+4m           | STALE; status NONE
               | accept @+4m+1ms                 | RECORDED; status GRANTED

# Both records of a linked customer go, whichever id is named
profile atom
needs clock
+0             | accept permanent as U           | RECORDED
               | accept permanent as A           | RECORDED
               | identity as A+U                 | RECORDED
+1h            | forget as U                     | FORGOTTEN
               | view as A                       | status NONE; user none
               | view as U                       | status NONE
+1h+1m         | accept permanent as A @+0       | STALE
               | accept permanent as U @+0       | STALE
               | accept permanent as A+U @+0     | STALE
               | view as A+U                     | status NONE

# Another customer stays
profile atom
needs clock
+0             | accept permanent as A           | RECORDED
               | accept permanent as B           | RECORDED
+1h            | forget as A                     | FORGOTTEN
               | view as B                       | status GRANTED

# A forgotten hold holds nothing
profile atom; calls_per_window 1
needs clock
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
               | forget                          | FORGOTTEN
+1m+1s         | accept                          | RECORDED; window 0/1
               | authorize c1                    | ALLOW; replayed no

# What is told at the very instant up to which was erased stays erased, under either id
profile atom
needs clock
+0             | accept permanent as A           | RECORDED
               | accept permanent as V           | RECORDED
               | forget as A                     | FORGOTTEN
               | forget as V                     | FORGOTTEN
+1s            | accept permanent as A @+0       | STALE; status NONE
               | accept permanent as V @+0       | STALE; status NONE
               | accept as A @+1ms               | RECORDED; status GRANTED
               | accept as V @+1ms               | RECORDED; status GRANTED

# Of a customer's ids eight are remembered; the one that was seen longest ago is another's from then on
profile atom
needs clock
+1m            | identity as 15550190002+U @+2s  | RECORDED
               | identity as 15550190001+U @+1s  | RECORDED
               | identity as 15550190003+U @+3s  | RECORDED
               | identity as 15550190004+U @+4s  | RECORDED
               | identity as 15550190005+U @+5s  | RECORDED
               | identity as 15550190006+U @+6s  | RECORDED
               | identity as 15550190007+U @+7s  | RECORDED
               | identity as 15550190008+U @+8s  | RECORDED
               | reject as 15550190001           | RECORDED
               | reject as 15550190002           | RECORDED
               | identity as 15550190009+U @+9s  | RECORDED
               | forget as U                     | FORGOTTEN
               | view as 15550190001             | status REJECTED
               | view as 15550190002             | status NONE

# The one that was seen longest ago goes, be it the first that was told
profile atom
needs clock
+1m            | identity as 15550190001+U @+1s  | RECORDED
               | identity as 15550190002+U @+2s  | RECORDED
               | identity as 15550190003+U @+3s  | RECORDED
               | identity as 15550190004+U @+4s  | RECORDED
               | identity as 15550190005+U @+5s  | RECORDED
               | identity as 15550190006+U @+6s  | RECORDED
               | identity as 15550190007+U @+7s  | RECORDED
               | identity as 15550190008+U @+7s  | RECORDED
               | reject as 15550190001           | RECORDED
               | reject as 15550190002           | RECORDED
               | reject as 15550190008           | RECORDED
               | identity as 15550190009+U @+9s  | RECORDED
               | forget as U                     | FORGOTTEN
               | view as 15550190001             | status REJECTED
               | view as 15550190002             | status NONE
               | view as 15550190008             | status NONE

# Eight ids are remembered, not seven
profile atom
needs clock
+1m            | identity as 15550190001+U @+1s  | RECORDED
               | reject as 15550190001           | RECORDED
               | identity as 15550190002+U @+2s  | RECORDED
               | identity as 15550190003+U @+3s  | RECORDED
               | identity as 15550190004+U @+4s  | RECORDED
               | identity as 15550190005+U @+5s  | RECORDED
               | identity as 15550190006+U @+6s  | RECORDED
               | identity as 15550190007+U @+7s  | RECORDED
               | identity as 15550190008+U @+8s  | RECORDED
               | forget as U                     | FORGOTTEN
               | view as 15550190001             | status NONE
