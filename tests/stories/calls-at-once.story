# Under Meta's rules one call at a time
profile meta
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
               | authorize c2                    | DENY CALL_IN_PROGRESS; blocked CALL_IN_PROGRESS; next WAIT;
               |                                 | callable +2m30s; window 0+1/100
+2m+30s-1ms    | authorize c2                    | DENY CALL_IN_PROGRESS
+2m+30s        | authorize c2                    | ALLOW

# A call that rings keeps the line busy
profile meta
+0             | accept                          | RECORDED
+1m            | call /w1 ringing                | RECORDED
               | check                           | DENY CALL_IN_PROGRESS; callable +2m30s

# An answered call keeps the line busy until its end is told
profile meta
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+10m           | check                           | DENY CALL_IN_PROGRESS; callable +1h1m
+11m           | call c1 answered picked_up +1m ended +11m | RECORDED
               | check                           | ALLOW; window 1/100

# An answered call whose end is never told is over after the longest call
profile meta
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+1h+1m-1ms     | check                           | DENY CALL_IN_PROGRESS; callable +1h1m
+1h+1m         | check                           | ALLOW
+1h+1m+1ms     | check                           | ALLOW

# The longest call is the profile's
profile meta; longest_call 10m
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+11m-1ms       | check                           | DENY CALL_IN_PROGRESS; callable +11m
+11m           | check                           | ALLOW

# A weaker report that comes late still tells that the call is over
profile meta
+0             | accept                          | RECORDED
+1m            | call /w1 answered               | RECORDED
+5m            | call /w1 unanswered ended +5m   | RECORDED; streak 0; window 1/100
               | check                           | ALLOW

# An end that was told before the pick-up counts
profile meta
+0             | accept                          | RECORDED
+5m            | call /w1 unanswered ended +5m @+5m | RECORDED; streak 1
               | call /w1 answered picked_up +1m | RECORDED; streak 0; window 1/100
               | check                           | ALLOW

# A call that is over keeps nothing busy
profile meta
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
               | call c1 unanswered              | RECORDED
               | authorize c2                    | ALLOW
               | call c2 failed                  | RECORDED
               | authorize c3                    | ALLOW

# Without a limit any number at once
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1..c5                | ALLOW
               | authorize c6                    | DENY CALL_WINDOW_LIMIT; blocked CALL_WINDOW_LIMIT

# Two at once where the profile says so: the first to end frees
profile atom; calls_at_once 2
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | authorize c2                    | ALLOW
               | authorize c3                    | DENY CALL_IN_PROGRESS; callable +3m30s
+3m+30s        | authorize c3                    | ALLOW

# Busy and full: the limit that frees last
profile meta; calls_per_window 2
+0             | accept                          | RECORDED
+1m            | call c1 answered ended +1m30s   | RECORDED
+2m            | authorize c2                    | ALLOW
               | check                           | DENY CALL_WINDOW_LIMIT; callable +3m30s;
               |                                 | blocked CALL_IN_PROGRESS CALL_WINDOW_LIMIT
+3m            | call c2 answered                | RECORDED
               | check                           | DENY CALL_WINDOW_LIMIT; callable +24h1m;
               |                                 | blocked CALL_IN_PROGRESS CALL_WINDOW_LIMIT

# Busy longer than full
profile meta; calls_per_window 2; call_window 10m
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | call c2 answered                | RECORDED
               | check                           | DENY CALL_IN_PROGRESS; callable +1h2m;
               |                                 | blocked CALL_IN_PROGRESS CALL_WINDOW_LIMIT
