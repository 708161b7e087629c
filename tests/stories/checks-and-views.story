# A check judges like an authorization and holds nothing
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | check                           | ALLOW TEMPORARY_PERMISSION; next PLACE_CALL; blocked none;
               |                                 | lease never; window 0/1; revision same
               | check                           | ALLOW; window 0/1
               | authorize c1                    | ALLOW; window 0+1/1
               | check                           | DENY CALL_WINDOW_LIMIT; blocked CALL_WINDOW_LIMIT;
               |                                 | callable +2m30s; next WAIT

# A look changes nothing
profile atom
+0             | accept expires +1h              | RECORDED
+1m            | view                            | revision same; status GRANTED
+1h            | view                            | revision same; status EXPIRED
               | number look                     | SAME

# A view may look ahead, by all facts known now
profile atom
+0             | accept expires +2d              | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | view as_of +24h1m-1ms           | window 1/5; status GRANTED
               | view as_of +24h1m               | window 0/5
               | view as_of +2d-1ms              | status GRANTED
               | view as_of +2d                  | status EXPIRED
               | view                            | window 1/5; status GRANTED

# A view may look back as far as the horizon
profile atom
+0             | accept expires +2d              | RECORDED
+3d            | view                            | status EXPIRED
               | view as_of +2d-1ms              | status GRANTED; valid_until +2d
+8d            | view as_of +0                   | status GRANTED
               | view as_of -1ms                 | REFUSED invalid as_of

# The whole state has the entries of all four quotas
profile meta
+0             | request r1 sent                 | RECORDED
+1m            | accept to r1                    | RECORDED
+2m            | authorize c1                    | ALLOW
               | view                            | entries day r1 +0 > +24h; entries week r1 +0 > +7d;
               |                                 | entries window c1 +2m > +3m30s held;
               |                                 | entries permission c1 +2m > +3m30s held

# A delivery that came later is not looked at as of before
profile atom
+0             | request r1 sent                 | status PENDING; valid_until +24h
+1h            | request r1 delivered            | status PENDING; valid_until +25h
+2h            | view as_of +1h                  | status PENDING; valid_until +25h
               | view as_of +1h-1ms              | status PENDING; valid_until +24h

# The entries of a quota stand in order of time, of one time in order of their ids, however they were told
profile atom
+0             | call d answered                 | RECORDED
               | call c answered                 | RECORDED
+2m            | call a answered                 | RECORDED
               | call b answered @+1m            | RECORDED
               | view                            | entries window c +0 > +24h, d +0 > +24h,
               |                                 | b +1m > +24h1m, a +2m > +24h2m
