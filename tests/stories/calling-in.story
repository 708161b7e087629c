# Under the article's rules a customer's call gives seven days, answered or not
profile atom
+0             | inbound call                    | RECORDED; status GRANTED; grant TEMPORARY; source INBOUND_CALL;
               |                                 | granted +0; expires +7d; valid_until +7d
+1d            | inbound call answered           | RECORDED; granted +1d; expires +8d
+8d-1ms        | check                           | ALLOW TEMPORARY_PERMISSION
+8d            | check                           | DENY EXPIRED
+8d+1ms        | view                            | status EXPIRED

# Under Meta's rules only the automatic accept gives
profile meta
+0             | inbound call answered           | RECORDED; status NONE
+1m            | accept automatic                | RECORDED; status GRANTED; grant TEMPORARY; source INBOUND_CALL;
               |                                 | granted +1m; expires +7d1m

# The automatic accept gives under the article's rules too, with the expiry it tells
profile atom
+0             | accept automatic expires +2d    | RECORDED; status GRANTED; source INBOUND_CALL; expires +2d
+2d            | view                            | status EXPIRED

# Where the number's own setting says no, calling in gives nothing
profile atom
+0             | number grants_inbound no        | CHANGED; number.inbound_call_grants 1
+1m            | inbound call                    | RECORDED; status NONE; conversation +24h1m
               | accept automatic                | RECORDED; status GRANTED; source INBOUND_CALL

# Where the number's own setting says yes, the profile still decides
profile meta
+0             | number grants_inbound yes       | CHANGED
+1m            | inbound call                    | RECORDED; status NONE

# The setting is read when the permission is looked at
profile atom
+0             | inbound call                    | RECORDED; status GRANTED
+1h            | number grants_inbound no        | CHANGED
               | view                            | status NONE; grant none
               | check                           | DENY NEVER_ASKED
+2h            | number grants_inbound yes       | CHANGED
               | view                            | status GRANTED; source INBOUND_CALL

# Calling in does not answer a request
profile meta
+0             | request r1 sent                 | RECORDED; status PENDING
+1m            | inbound call answered           | RECORDED; status PENDING
               | accept automatic expires +1h    | RECORDED; status GRANTED; valid_until +1h
+1h-1ms        | view                            | status GRANTED
+1h            | view                            | status PENDING; valid_until +7d

# What calling in gave is withdrawn like any other
profile atom
+0             | inbound call                    | RECORDED; status GRANTED
+1m            | reject                          | RECORDED; status REVOKED
+2m            | inbound call                    | RECORDED; status GRANTED; granted +2m

# A request ends what calling in gave before it
profile atom
+0             | inbound call                    | RECORDED; status GRANTED
+1m            | request r1 sent                 | RECORDED; status PENDING
+2m            | inbound call                    | RECORDED; status GRANTED
