# A reject of a request is REJECTED, a reject of a permission is REVOKED
profile atom
+0             | reject                          | RECORDED; status REJECTED
               | check                           | DENY REJECTED; next SEND_PERMISSION_REQUEST
+1h            | accept                          | RECORDED; status GRANTED
+2h            | reject                          | RECORDED; status REVOKED; valid_until never
               | check                           | DENY REVOKED; blocked REVOKED; next SEND_PERMISSION_REQUEST

# A reject after the permission ran out is REJECTED
profile atom
+0             | accept expires +1h              | RECORDED
+2h            | reject                          | RECORDED; status REJECTED

# A reject in the last second of a permission is REVOKED
profile atom
+0             | accept expires +1h              | RECORDED
+2h            | reject @+1h-1s                  | RECORDED; status REVOKED

# Only the newest reject is kept, so that a repeated withdrawal is still one
profile atom
+0             | accept                          | RECORDED
+1h            | reject                          | RECORDED; status REVOKED
+2h            | reject                          | RECORDED; status REVOKED

# A reject after an auto-revocation is REVOKED all the same
> Auto-revocations before the newest reject are not looked at.
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+5m            | view                            | status AUTO_REVOKED
+6m            | reject                          | RECORDED; status REVOKED

# A reject after a taking-away by the provider is REJECTED
profile atom
+0             | accept                          | RECORDED
+5m            | reject automatic                | RECORDED; status AUTO_REVOKED
+6m            | reject                          | RECORDED; status REJECTED

# A reject after a request had ended the permission is REJECTED
profile atom
+0             | accept                          | RECORDED
+1h            | request r1 sent                 | RECORDED
+2h            | reject to r1                    | RECORDED; status REJECTED

# The newest ending is told: taken away after a reject
profile atom
+0             | reject                          | RECORDED; status REJECTED
+1m            | reject automatic                | RECORDED; status AUTO_REVOKED

# One second: a reject before a taking-away
profile atom
+0             | accept                          | RECORDED
+5s            | reject automatic @+4s500ms      | RECORDED; status AUTO_REVOKED
               | reject @+4s                     | RECORDED; status REVOKED

# One second: a reject that comes with the request which ended the permission
> What was in effect just before it is judged by earlier seconds only.
profile atom
+0             | accept                          | RECORDED
+6s            | request r1 sent @+5s            | RECORDED; status PENDING
               | reject @+5s500ms                | RECORDED; status REVOKED

# One second: a permission that ran out before a request that ran out
profile meta
+0             | request r1 sent                 | RECORDED
+1m            | accept automatic expires +7d    | RECORDED; status GRANTED
+7d-1ms        | view                            | status GRANTED
+7d            | view                            | status EXPIRED

# A request that ran out after the permission is LAPSED
profile meta
+0             | request r1 sent                 | RECORDED
+1m            | accept automatic expires +1d    | RECORDED; status GRANTED
+1d            | view                            | status PENDING; valid_until +7d
+7d-1ms        | view                            | status PENDING
+7d            | view                            | status LAPSED

# A permission that ran out after the request is EXPIRED
profile atom
+0             | request r1 sent                 | RECORDED; status PENDING
+1m            | inbound call                    | RECORDED; status GRANTED; valid_until +7d1m
+2d            | view                            | status GRANTED
+7d+1m         | view                            | status EXPIRED

# A permission that was ended does not run out later
profile atom
+0             | accept expires +2d              | RECORDED
+1h            | request r1 sent                 | RECORDED
+25h           | view                            | status LAPSED
+2d            | view                            | status LAPSED
+3d            | view                            | status LAPSED

# A permission that ran out after a reject
profile atom
+0             | reject                          | RECORDED
+1h            | accept expires +2h              | RECORDED
+2h            | view                            | status EXPIRED
+3h            | reject                          | RECORDED; status REJECTED

# Nothing known is NONE
profile atom
+0             | view                            | status NONE; grant none; streak 0; valid_until never;
               |                                 | conversation never; window 0/5; permission 0/35; day 0/1; week 0/2
               | check                           | DENY NEVER_ASKED; blocked NEVER_ASKED;
               |                                 | next SEND_PERMISSION_REQUEST; callable never

# A no in the last millisecond of a permission withdraws it
profile atom
+0             | accept expires +1h              | RECORDED
+1h-1ms        | reject                          | RECORDED; status REVOKED

# A no at the end of a permission withdraws it: it was in effect just before
profile atom
+0             | accept expires +1h              | RECORDED
+1h            | reject                          | RECORDED; status REVOKED

# A no a millisecond after the end of a permission refuses
profile atom
+0             | accept expires +1h              | RECORDED
+1h+1ms        | reject                          | RECORDED; status REJECTED

# A permission that too many misses took is withdrawn by a no, before the horizon and after it
> Auto-revocations before the newest no are not looked at.
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED
               | reject                          | RECORDED; status REVOKED

# The provider took it at that very time: the no is none to a permission in effect
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+5m            | reject automatic @+4m           | RECORDED; status AUTO_REVOKED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED
               | reject                          | RECORDED; status REJECTED

# That the provider took it at that very time may be told late
profile atom
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED
               | reject automatic @+4m           | RECORDED; status AUTO_REVOKED
               | reject automatic @+4m           | DUPLICATE
               | reject                          | RECORDED; status REJECTED

# A call that the provider refused for want of a permission: a no after it is none to one in effect
profile atom
+0             | accept permanent                | RECORDED
+1m            | call /w1 failed error 138006    | RECORDED; status AUTO_REVOKED
+2m            | reject                          | RECORDED; status REJECTED

# Of two ways of taking at one time one is kept
profile atom
+0             | accept permanent                | RECORDED
+1m            | call /w1 failed error 138006    | RECORDED; status AUTO_REVOKED
               | reject automatic                | RECORDED; status AUTO_REVOKED
               | reject automatic                | DUPLICATE

# Of misses in one second the fourth by the millisecond takes the permission, told in any order
> What the provider itself took later in that second is the newer: the no is none to a permission.
profile atom
+0             | accept permanent                | RECORDED
+1m            | call c5 unanswered @+59s+700ms  | RECORDED
               | call c1 unanswered @+59s+100ms  | RECORDED
               | call c4 unanswered @+59s+400ms  | RECORDED
               | call c2 unanswered @+59s+200ms  | RECORDED
               | call c3 unanswered @+59s+300ms  | RECORDED; status AUTO_REVOKED
               | reject automatic @+59s+500ms    | RECORDED; status AUTO_REVOKED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED
               | reject                          | RECORDED; status REJECTED

# The order of telling does not matter where misses are told from the last to the first
profile atom
+0             | accept permanent                | RECORDED
+1m            | call c5 unanswered @+59s+700ms  | RECORDED
               | call c4 unanswered @+59s+400ms  | RECORDED
               | call c3 unanswered @+59s+300ms  | RECORDED
               | call c2 unanswered @+59s+200ms  | RECORDED
               | call c1 unanswered @+59s+100ms  | RECORDED; status AUTO_REVOKED
               | reject automatic @+59s+500ms    | RECORDED; status AUTO_REVOKED
+9d            | inbound message                 | RECORDED; status AUTO_REVOKED
               | reject                          | RECORDED; status REJECTED
