# What AuthorizeCall would have answered before a no, and before a yes
profile atom
+1h            | accept                          | RECORDED
+2h            | reject                          | RECORDED
+1d            | check                           | DENY REVOKED
               | check as_of +2h-1ms             | ALLOW TEMPORARY_PERMISSION; next PLACE_CALL; status GRANTED
               | check as_of +1h                 | ALLOW; revision same
               | check as_of +1h-1ms             | DENY NEVER_ASKED; next SEND_PERMISSION_REQUEST
               | check as_of +2h                 | DENY REVOKED

# Nor what was told later of before is left out
profile atom
+1d            | accept @+1h                     | RECORDED
               | check as_of +1h                 | ALLOW

# A full quota of then, and when it would have freed as seen from then
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1h            | call c1 answered                | RECORDED
+2d            | check as_of +2h                 | DENY CALL_WINDOW_LIMIT; callable +25h; next WAIT; window 1/1
               | check as_of +1h-1ms             | ALLOW; window 0/1
               | check as_of +25h                | ALLOW; window 0/1

# A check may look back as far as the horizon, and ahead
profile atom
+0             | accept expires +2d              | RECORDED
+1d            | check as_of +2d-1ms             | ALLOW
               | check as_of +2d                 | DENY EXPIRED
+8d            | check as_of +0                  | ALLOW
               | check as_of -1ms                | REFUSED invalid as_of

# A call that was held then holds, whatever became of it
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; lease +2m30s
+1m10s         | call c1 ringing                 | RECORDED
+2m            | call c1 answered                | RECORDED
+1d2h          | check as_of +1m-1ms             | ALLOW; window 0/1
               | check as_of +1m                 | DENY CALL_WINDOW_LIMIT; callable +2m30s; window 0+1/1
               | check as_of +2m-1ms             | DENY CALL_WINDOW_LIMIT; callable +2m30s; window 0+1/1
               | check as_of +2m                 | DENY CALL_WINDOW_LIMIT; callable +1d2m; window 1/1

# The same where its lease had run out before the outcome came
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; lease +2m30s
+10m           | call c1 answered                | RECORDED
+1h            | check as_of +2m30s-1ms          | DENY CALL_WINDOW_LIMIT; window 0+1/1
               | check as_of +2m30s              | ALLOW; window 0/1

# A call that nobody authorized did not hold as far as is still known
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | call c1 placed                  | RECORDED
+2m            | call c1 answered                | RECORDED
+1h            | check as_of +1m30s              | ALLOW; window 0/1
               | check as_of +2m                 | DENY CALL_WINDOW_LIMIT; window 1/1

# A call in progress then
profile meta
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+9m            | call c1 answered ended +6m      | RECORDED
+1h            | check                           | ALLOW
               | check as_of +5m                 | DENY CALL_IN_PROGRESS; callable +1h1m
               | check as_of +6m-1ms             | DENY CALL_IN_PROGRESS
               | check as_of +6m                 | ALLOW

# The settings of the business number as far as the newest of each tells
profile atom
+0             | accept                          | RECORDED
+1h            | number paused until +3h         | CHANGED
+4h            | check as_of +2h                 | DENY BUSINESS_NUMBER_PAUSED; callable +3h; next WAIT
               | check as_of +1h                 | DENY BUSINESS_NUMBER_PAUSED
               | check as_of +1h-1ms             | ALLOW
+5h            | number calling disabled               | CHANGED
               | check as_of +5h                 | DENY BUSINESS_NUMBER_PAUSED; next FIX_BUSINESS_NUMBER
               | check as_of +5h-1ms             | ALLOW

# Whether calling in grants, too
profile atom
+0             | inbound call                    | RECORDED
+1h            | number grants_inbound no    | CHANGED
+2h            | check                           | DENY
               | check as_of +1h                 | DENY NEVER_ASKED
               | check as_of +1h-1ms             | ALLOW

# What fills the quotas of then is what the verdict goes by
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
+2m            | call c1 answered ended +4m      | RECORDED
+1h            | view as_of +1m-1ms              | window 0/1; permission 0/35; entries window none
               | view as_of +1m                  | window 0+1/1; permission 0+1/35;
               |                                 | entries window c1 +1m > +2m30s held;
               |                                 | entries permission c1 +1m > +2m30s held
               | view as_of +2m-1ms              | window 0+1/1; permission 0+1/35
               | view as_of +2m                  | window 1/1; permission 1/35

# The same of a permission request
profile atom
+1m            | authorize-request r1            | ALLOW
+2m            | request r1 sent                 | RECORDED
+1h            | view as_of +1m-1ms              | day 0/1; status NONE
               | view as_of +1m                  | day 0+1/1; week 0+1/2; status NONE
               | view as_of +2m-1ms              | day 0+1/1; status NONE
               | view as_of +2m                  | day 1/1; status PENDING

# One that lapsed before it was sent
profile atom
+1m            | authorize-request r1            | ALLOW
+10m           | request r1 sent                 | RECORDED
+1h            | view as_of +2m30s-1ms           | day 0+1/1
               | view as_of +2m30s               | day 0/1
               | view as_of +10m                 | day 1/1

# And the settings of then
profile atom
+0             | inbound call                    | RECORDED
+1h            | number grants_inbound no        | CHANGED
+2h            | view                            | status NONE
               | view as_of +1h                  | status NONE
               | view as_of +1h-1ms              | status GRANTED

# What is known a little ahead of the clock counts at once, and so it does ahead
profile atom
+0             | accept                          | RECORDED
+1m            | reject @+2m                     | RECORDED
               | check                           | DENY REVOKED
               | check as_of +1m+1ms             | DENY REVOKED
               | view as_of +1m+1ms              | status REVOKED
               | check as_of +1m-1ms             | ALLOW
