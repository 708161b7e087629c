# Under Meta's rules an answered call starts the request counts anew
profile meta
+0             | request r1 sent                 | RECORDED; day 1/1; week 1/2
+1h            | accept to r1                    | RECORDED
+2h            | call c1 answered ended +2h      | RECORDED; day 0/1 free never; week 0/2
+3h            | request r2 sent                 | RECORDED; day 1/1; week 1/2

# An answered call of the customer does so too
profile meta
+0             | request r1 sent                 | RECORDED; day 1/1
+1h            | inbound call                    | RECORDED; day 1/1
+2h            | inbound call answered           | RECORDED; day 0/1; week 0/2
               | authorize-request r2            | ALLOW AWAITING_REPLY

# Misses and uncertain calls do not
profile meta
+0             | request r1 sent                 | RECORDED
+1h            | call c1 unanswered              | RECORDED; day 1/1
+2h            | call c2 uncertain               | RECORDED; day 1/1; week 1/2

# Only the requests before the answered call go
profile meta
+0             | request r1 sent                 | RECORDED
+2h            | request r2 sent                 | RECORDED; week 2/2
+3h            | call c1 answered @+1h           | RECORDED; week 1/2; day 1/1 free +26h

# Only requests after the call count, to the millisecond
profile meta-sandbox
+1h            | request r1 sent @+1h-1ms        | RECORDED
               | request r2 sent @+1h            | RECORDED
               | request r3 sent @+1h+1ms        | RECORDED; day 3/25
+2h            | call c1 answered @+1h           | RECORDED; day 1/25; week 1/100

# What is held stays held
profile meta; lease 2h
+0             | authorize-request r1            | ALLOW; day 0+1/1
+1h            | call c1 answered                | RECORDED; day 0+1/1; week 0+1/2

# Under the article's rules nothing is reset
profile atom
+0             | request r1 sent                 | RECORDED
+1h            | call c1 answered                | RECORDED; day 1/1; week 1/2
+2h            | inbound call answered           | RECORDED; day 1/1; week 1/2
