# A request is allowed while no permission is in effect; the reason says why it is needed
profile meta-sandbox
+0             | authorize-request r1            | ALLOW NEVER_ASKED; blocked none; lease +90s; requestable never;
               |                                 | replayed no; revision grew
               | request r1 sent                 | RECORDED
+1m            | authorize-request r2            | ALLOW AWAITING_REPLY
+2m            | reject to r1                    | RECORDED
+3m            | authorize-request r3            | ALLOW REJECTED
+4m            | accept                          | RECORDED
+5m            | reject                          | RECORDED
               | authorize-request r4            | ALLOW REVOKED
+6m            | reject automatic                | RECORDED
               | authorize-request r5            | ALLOW AUTO_REVOKED
+7m            | accept expires +8m              | RECORDED
+8m            | authorize-request r6            | ALLOW EXPIRED
+9m            | request r7 sent                 | RECORDED
+9m+7d         | authorize-request r8            | ALLOW REQUEST_LAPSED

# A permission in effect stands in the way
profile atom
+0             | accept                          | RECORDED
               | authorize-request r1            | DENY PERMISSION_IN_EFFECT; blocked PERMISSION_IN_EFFECT; day 0/1;
               |                                 | revision same; lease never

# A permission in effect and a full quota: the permission is the reason, all is listed
profile atom
+0             | request r1 sent                 | RECORDED
+1m            | accept to r1                    | RECORDED
               | authorize-request r2            | DENY PERMISSION_IN_EFFECT;
               |                                 | blocked PERMISSION_IN_EFFECT REQUEST_DAY_LIMIT

# A pause comes first
profile atom
+0             | request r1 sent                 | RECORDED
+1m            | accept to r1                    | RECORDED
               | number paused                   | CHANGED
               | authorize-request r2            | DENY BUSINESS_NUMBER_PAUSED; requestable never;
               |                                 | blocked BUSINESS_NUMBER_PAUSED PERMISSION_IN_EFFECT REQUEST_DAY_LIMIT

# A temporary permission may be replaced, under any profile
profile atom
+0             | accept                          | RECORDED
               | authorize-request r1 replace    | ALLOW TEMPORARY_PERMISSION; day 0+1/1; status GRANTED

# A temporary permission may be replaced under Meta's rules
profile meta
+0             | accept                          | RECORDED
               | authorize-request r1 replace    | ALLOW TEMPORARY_PERMISSION; status GRANTED
               | request r1 sent                 | RECORDED; status GRANTED

# A permanent permission may be replaced where a request ends it
profile atom
+0             | accept permanent                | RECORDED
               | authorize-request r1            | DENY PERMISSION_IN_EFFECT
               | authorize-request r1 replace    | ALLOW PERMANENT_PERMISSION

# Elsewhere it may not: Meta would refuse the request
profile meta
+0             | accept permanent                | RECORDED
               | authorize-request r1 replace    | DENY PERMISSION_IN_EFFECT; requestable never

# Replacing still needs room
profile atom
+0             | request r1 sent                 | RECORDED
+1m            | accept to r1                    | RECORDED
               | authorize-request r2 replace    | DENY REQUEST_DAY_LIMIT; blocked REQUEST_DAY_LIMIT; requestable +24h

# A request may be sent when the permission has run out
profile atom
+0             | accept expires +2h              | RECORDED
               | authorize-request r1            | DENY PERMISSION_IN_EFFECT; requestable +2h
+2h-1ms        | authorize-request r1            | DENY PERMISSION_IN_EFFECT; requestable +2h
+2h            | authorize-request r1            | ALLOW EXPIRED

# A message status matters only where it names a known request
profile atom
+0             | request /m9 delivered known_only | DUPLICATE; status NONE; day 0/1
               | request r1/m1 sent              | RECORDED
+1m            | request /m1 delivered known_only | RECORDED; valid_until +24h1m
+2m            | request /m1 undelivered known_only | RECORDED; status NONE

# An answer about a request names no next step
profile atom
+0             | authorize-request r1            | ALLOW; next none
               | authorize-request r2            | DENY REQUEST_DAY_LIMIT; next none
