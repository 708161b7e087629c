# The sixth call waits until the first leaves the window
> "In the last W" is now - W < at: a call at T stops counting at exactly T + W.
profile atom
+0             | accept                          | RECORDED; window 0/5 free never
+1m every 1m   | call c1..c5 answered            | RECORDED
+6m            | authorize c6                    | DENY CALL_WINDOW_LIMIT; blocked CALL_WINDOW_LIMIT;
               |                                 | next WAIT; callable +24h1m; window 5/5 free +24h1m
+24h+1m-1ms    | authorize c6                    | DENY CALL_WINDOW_LIMIT; callable +24h1m; window 5/5
+24h+1m        | authorize c6                    | ALLOW TEMPORARY_PERMISSION; lease +24h2m30s;
               |                                 | warnings LAST_CALL_IN_WINDOW; next PLACE_CALL;
               |                                 | callable never; window 4+1/5 free +24h2m
+24h+1m+1ms    | check                           | DENY CALL_WINDOW_LIMIT; callable +24h2m

# The call that leaves frees exactly one slot, at its own millisecond
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED; window 1/1 free +24h1m
+24h+1m-1ms    | view                            | window 1/1 free +24h1m
+24h+1m        | view                            | window 0/1 free never
+24h+1m+1ms    | view                            | window 0/1 free never

# The window is as long as the profile says
profile atom; calls_per_window 1; call_window 3s
+0             | accept                          | RECORDED
+10s           | call c1 answered                | RECORDED
+13s-1ms       | check                           | DENY CALL_WINDOW_LIMIT; callable +13s
+13s           | check                           | ALLOW TEMPORARY_PERMISSION
+13s+1ms       | check                           | ALLOW TEMPORARY_PERMISSION

# An uncertain call fills the window like an answered one
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 uncertain               | RECORDED; window 1/5
+2m            | call c2 answered                | RECORDED; window 2/5

# Calls that were not picked up do not fill the window
profile atom
+0             | accept                          | RECORDED
+1m            | call c1 not_placed              | RECORDED; window 0/5
+2m            | call c2 failed                  | RECORDED; window 0/5
+3m            | call c3 canceled                | RECORDED; window 0/5
+4m            | call c4 unanswered              | RECORDED; window 0/5
+5m            | call c5 answered                | RECORDED; window 1/5
+6m            | call c6 rejected                | RECORDED; window 1/5

# Held, placed and ringing calls fill the window while they hold
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; window 0+1/5
               | call c2 placed                  | RECORDED; window 0+2/5
               | call c3 ringing                 | RECORDED; window 0+3/5
               | call c4 answered                | RECORDED; window 1+3/5
               | authorize c5                    | ALLOW; window 1+4/5 free +2m30s
               | check                           | DENY CALL_WINDOW_LIMIT; callable +2m30s
+2m30s-1ms     | check                           | DENY CALL_WINDOW_LIMIT; callable +2m30s
+2m30s         | view                            | window 1/5 free never

# A window that is more than full frees when enough have left
> Calls that were never authorized here may exceed the limit.
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c7 answered            | RECORDED
+8m            | check                           | DENY CALL_WINDOW_LIMIT; callable +24h3m; window 7/5 free +24h3m
+24h+3m-1ms    | check                           | DENY CALL_WINDOW_LIMIT
+24h+3m        | check                           | ALLOW; window 4/5

# Meta's window has a hundred calls
profile meta
-2h every 1m   | call c1..c100 answered          | RECORDED
+0             | accept                          | RECORDED; window 100/100 free +22h
+1h            | authorize d1                    | DENY CALL_WINDOW_LIMIT; callable +22h
+22h-1ms       | authorize d1                    | DENY CALL_WINDOW_LIMIT; callable +22h
+22h           | authorize d1                    | ALLOW; window 99+1/100; warnings LAST_CALL_IN_WINDOW

# The whole state names every call that fills the window, oldest first
profile atom
+0             | accept                          | RECORDED
+2m            | call c2 answered                | RECORDED
               | call c1 answered @+1m           | RECORDED
               | authorize c3                    | ALLOW
               | view                            | entries window c1 +1m > +24h1m, c2 +2m > +24h2m, c3 +2m > +3m30s held
