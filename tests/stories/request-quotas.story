# One request a day
profile atom
+0             | request r1 sent                 | RECORDED; day 1/1 free +24h; week 1/2
+24h-1ms       | authorize-request r2            | DENY REQUEST_DAY_LIMIT; blocked REQUEST_DAY_LIMIT;
               |                                 | requestable +24h; day 1/1 free +24h
+24h           | authorize-request r2            | ALLOW REQUEST_LAPSED; lease +24h1m30s; requestable never;
               |                                 | day 0+1/1; week 1+1/2 free +24h1m30s

# One request a day, one millisecond later
profile atom
+0             | request r1 sent                 | RECORDED
+24h+1ms       | view                            | day 0/1 free never; week 1/2
               | authorize-request r2            | ALLOW

# Two requests a week
profile atom
+0             | request r1 sent                 | RECORDED
+1d            | request r2 sent                 | RECORDED; week 2/2 free +7d; day 1/1 free +2d
+2d            | authorize-request r3            | DENY REQUEST_WEEK_LIMIT; blocked REQUEST_WEEK_LIMIT;
               |                                 | requestable +7d; day 0/1
+7d-1ms        | authorize-request r3            | DENY REQUEST_WEEK_LIMIT; requestable +7d
+7d            | authorize-request r3            | ALLOW; week 1+1/2

# Two requests a week, one millisecond later
profile atom
+0             | request r1 sent                 | RECORDED
+1d            | request r2 sent                 | RECORDED
+7d+1ms        | view                            | week 1/2 free never

# Day and week both full: the one that frees last is the reason
profile atom
+0             | request r1 sent                 | RECORDED
+1d            | request r2 sent                 | RECORDED
+1d+1h         | authorize-request r3            | DENY REQUEST_WEEK_LIMIT; requestable +7d;
               |                                 | blocked REQUEST_DAY_LIMIT REQUEST_WEEK_LIMIT
# Both free at the same instant: the lower reason
profile atom
+0             | request r1 sent                 | RECORDED
+6d            | request r2 sent                 | RECORDED; day 1/1 free +7d; week 2/2 free +7d
+6d+1h         | authorize-request r3            | DENY REQUEST_DAY_LIMIT; requestable +7d;
               |                                 | blocked REQUEST_DAY_LIMIT REQUEST_WEEK_LIMIT

# The day frees last
profile atom; requests_per_day 2; requests_per_week 3
+0             | request r1 sent                 | RECORDED
+6d+1h         | request r2 sent                 | RECORDED
+6d+2h         | request r3 sent                 | RECORDED; day 2/2 free +7d1h; week 3/3 free +7d
+6d+3h         | authorize-request r4            | DENY REQUEST_DAY_LIMIT; requestable +7d1h;
               |                                 | blocked REQUEST_DAY_LIMIT REQUEST_WEEK_LIMIT

# A held request takes a slot until its lease ends
profile atom
+0             | authorize-request r1            | ALLOW NEVER_ASKED; lease +90s; day 0+1/1 free +90s; week 0+1/2
+90s-1ms       | authorize-request r2            | DENY REQUEST_DAY_LIMIT; requestable +90s
+90s           | authorize-request r2            | ALLOW NEVER_ASKED; day 0+1/1; replayed no

# A held request that is sent counts once
profile atom
+0             | authorize-request r1            | ALLOW; day 0+1/1
+1s            | request r1/m1 sent              | RECORDED; day 1/1 free +24h1s; week 1/2

# A refused request frees its slot
profile atom
+0             | authorize-request r1            | ALLOW; day 0+1/1
+1s            | request r1 refused              | RECORDED; day 0/1; week 0/2
               | authorize-request r2            | ALLOW NEVER_ASKED

# A request counts from the earliest of its reports
profile atom
+1h            | request r1 sent                 | RECORDED; day 1/1 free +25h
               | request r1 delivered @+30m      | RECORDED; day 1/1 free +24h30m
               | view                            | entries day r1 +30m > +24h30m

# Meta's test numbers take more
profile meta-sandbox
+0 every 1s    | request r1..r24 sent            | RECORDED
+1m            | authorize-request s1            | ALLOW AWAITING_REPLY; day 24+1/25; week 24+1/100
               | authorize-request s2            | DENY REQUEST_DAY_LIMIT; requestable +2m30s

# An undelivered request does not count under the article's rules
profile atom
+0             | request r1 sent                 | RECORDED; day 1/1; week 1/2
+1m            | request r1 undelivered          | RECORDED; day 0/1; week 0/2
               | authorize-request r2            | ALLOW

# It counts under Meta's
profile meta
+0             | request r1 sent                 | RECORDED; day 1/1
+1m            | request r1 undelivered          | RECORDED; day 1/1 free +24h; week 1/2
+2m            | authorize-request r2            | DENY REQUEST_DAY_LIMIT; requestable +24h

# The time of a request is the earliest of all reports that it was sent, also of the weaker one
profile meta
+1m            | request r1 undelivered          | RECORDED; day 1/1 free +24h1m
               | request r1 sent @+0             | RECORDED; day 1/1 free +24h
               | request r2 sent                 | RECORDED
               | request r2 undelivered @+10s    | RECORDED
               | view                            | entries day r1 +0 > +24h, r2 +10s > +24h10s
