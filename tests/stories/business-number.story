# Calling disabled on the number: nothing goes until it is enabled
profile atom
+0             | accept                          | RECORDED
+1m            | number calling disabled         | CHANGED; number.calling 1
               | authorize c1                    | DENY BUSINESS_NUMBER_PAUSED; blocked BUSINESS_NUMBER_PAUSED;
               |                                 | next FIX_BUSINESS_NUMBER; callable never; window 0/5; status GRANTED
+2m            | number calling enabled          | CHANGED; number.calling 2
               | authorize c1                    | ALLOW

# A pause ends at its time
profile atom
+0             | accept                          | RECORDED
+1m            | number paused until +1h         | CHANGED; number.pause 2; number.paused_until +1h
               | authorize c1                    | DENY BUSINESS_NUMBER_PAUSED; next WAIT; callable +1h; status GRANTED
+1h-1ms        | authorize c1                    | DENY BUSINESS_NUMBER_PAUSED; callable +1h
+1h            | authorize c1                    | ALLOW
+1h+1ms        | check                           | ALLOW

# A pause without end waits for somebody to mend it
profile atom
+0             | accept                          | RECORDED
+1m            | number paused                   | CHANGED; number.pause 2; number.paused_until never
               | check                           | DENY BUSINESS_NUMBER_PAUSED; next FIX_BUSINESS_NUMBER; callable never
+1h            | number resumed                  | CHANGED; number.pause 1
               | check                           | ALLOW

# A pause refuses requests as well, until its end
profile atom
+0             | number paused until +1h         | CHANGED
               | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED; requestable +1h; day 0/1
+1h-1ms        | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED
+1h            | authorize-request r1            | ALLOW NEVER_ASKED

# Calling disabled refuses requests as well
profile atom
+0             | number calling disabled         | CHANGED
               | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED; requestable never

# Where both are paused, a request waits for the later end
profile atom
+0             | number paused until +1h         | CHANGED
               | number requests paused until +2h| CHANGED
               | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED; requestable +2h
               | number requests paused until +30m @+1s | CHANGED
+1s            | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED; requestable +1h

# A pause of requests alone lets calls pass
profile atom
+0             | number requests paused until +1h| CHANGED; number.request_pause 2; number.requests_paused_until +1h
               | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED; requestable +1h
               | accept                          | RECORDED
               | check                           | ALLOW
+1m            | reject                          | RECORDED
+1h-1ms        | authorize-request r1            | DENY BUSINESS_NUMBER_PAUSED
+1h            | authorize-request r1            | ALLOW REVOKED

# Each fact of the number joins by its own time, the later wins
profile atom
+0             | number calling disabled         | CHANGED
+10m           | number paused @+5m              | CHANGED; number.calling 1; number.pause 2
               | number calling enabled @+4m     | CHANGED; number.calling 2; number.pause 2
               | number calling disabled @+3m    | SAME; number.calling 2
               | number resumed @+4m             | SAME; number.pause 2
               | number resumed @+6m             | CHANGED; number.pause 1
               | number look                     | SAME; number.calling 2; number.pause 1

# What the customer says during a pause stays valid
profile atom
+0             | number paused until +1h         | CHANGED
+1m            | accept                          | RECORDED; status GRANTED
+1h            | check                           | ALLOW

# Pause and missing permission: the pause is the reason, both are listed
profile atom
+0             | number paused until +1h         | CHANGED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; callable never;
               |                                 | blocked BUSINESS_NUMBER_PAUSED NEVER_ASKED;
               |                                 | next SEND_PERMISSION_REQUEST
+1m            | request r1 sent                 | RECORDED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; next WAIT_FOR_CUSTOMER;
               |                                 | blocked BUSINESS_NUMBER_PAUSED AWAITING_REPLY

# A pause beyond the end of the permission
profile atom
+0             | accept expires +1h              | RECORDED
               | number paused until +1h-1ms     | CHANGED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; callable +1h-1ms; next WAIT
+1s            | number paused until +1h         | CHANGED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; callable never; next SEND_PERMISSION_REQUEST
+2s            | number paused until +1h+1ms     | CHANGED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; callable never

# One number's pause is not another customer's permission
profile atom
+0             | accept as A                     | RECORDED
               | accept as B                     | RECORDED
+1m            | number paused until +1h         | CHANGED
               | check as A                      | DENY BUSINESS_NUMBER_PAUSED
               | check as B                      | DENY BUSINESS_NUMBER_PAUSED

# Of two reports of one time the narrower counts, in any order: calling
profile atom
+0             | number calling enabled          | CHANGED; number.calling 2
               | number calling enabled          | SAME
               | number calling disabled         | CHANGED; number.calling 1
               | number calling disabled         | SAME
               | number calling enabled          | SAME; number.calling 1

# ... a pause
profile atom
+1m            | number resumed                  | CHANGED; number.pause 1
               | number resumed                  | SAME
               | number paused until +1h         | CHANGED; number.paused_until +1h
               | number paused until +1h         | SAME
               | number paused until +1h-1ms     | SAME; number.paused_until +1h
               | number paused until +1h+1ms     | CHANGED; number.paused_until +1h+1ms
               | number paused                   | CHANGED; number.pause 2; number.paused_until never
               | number paused                   | SAME
               | number paused until +2h         | SAME; number.paused_until never
               | number resumed                  | SAME; number.pause 2
+1m1ms         | number paused until +1h         | CHANGED; number.paused_until +1h
               | number resumed                  | SAME; number.pause 2; number.paused_until +1h
+1m2ms         | number resumed                  | CHANGED; number.pause 1; number.paused_until never

# ... a pause of requests
profile atom
+1m            | number requests resumed         | CHANGED; number.request_pause 1
               | number requests paused until +1h| CHANGED; number.requests_paused_until +1h
               | number requests paused          | CHANGED; number.requests_paused_until never
               | number requests paused until +1h| SAME; number.request_pause 2
