# A sent request waits a day under the article's rules
profile atom
+0             | request r1 sent                 | RECORDED; status PENDING; valid_until +24h; grant none
               | check                           | DENY AWAITING_REPLY; next WAIT_FOR_CUSTOMER;
               |                                 | callable never; blocked AWAITING_REPLY
+24h-1ms       | view                            | status PENDING; valid_until +24h
+24h           | view                            | status LAPSED; valid_until never
               | check                           | DENY REQUEST_LAPSED; next SEND_PERMISSION_REQUEST
+24h+1ms       | view                            | status LAPSED

# The wait starts at the delivery where that is told
profile atom
+0             | request r1 sent                 | RECORDED; valid_until +24h
+2h            | request r1 delivered            | RECORDED; status PENDING; valid_until +26h
+26h-1ms       | view                            | status PENDING
+26h           | view                            | status LAPSED
+26h+1ms       | view                            | status LAPSED

# A late delivery revives a request that seemed lapsed
profile atom
+0             | request r1 sent                 | RECORDED
+24h           | view                            | status LAPSED
+25h           | request r1 delivered            | RECORDED; status PENDING; valid_until +49h

# The earliest delivery counts
profile atom
+0             | request r1 sent                 | RECORDED
+2h            | request r1 delivered            | RECORDED; valid_until +26h
+3h            | request r1 delivered            | DUPLICATE; valid_until +26h
               | request r1 delivered @+1h       | RECORDED; valid_until +25h

# A delivery tells that the request was sent
profile atom
+0             | request /m1 delivered           | RECORDED; status PENDING; valid_until +24h; day 1/1

# Under Meta's rules it waits seven days from the delivery
profile meta
+0             | request r1/m1 sent              | RECORDED; valid_until +7d
+1h            | request /m1 delivered           | RECORDED; valid_until +7d1h
+7d+1h-1ms     | view                            | status PENDING
+7d+1h         | view                            | status LAPSED
+7d+1h+1ms     | view                            | status LAPSED

# An answered request never lapses
profile atom
+0             | request r1 sent                 | RECORDED
+1h            | accept to r1 expires +2h        | RECORDED; status GRANTED; valid_until +2h
+2h            | view                            | status EXPIRED
+24h           | view                            | status EXPIRED
+25h           | view                            | status EXPIRED

# A refused request is rejected, and stays so
profile atom
+0             | request r1 sent                 | RECORDED
+1h            | reject to r1                    | RECORDED; status REJECTED; valid_until never
+25h           | view                            | status REJECTED

# An answer after the lapse still counts
profile atom
+0             | request r1 sent                 | RECORDED
+25h           | view                            | status LAPSED
+26h           | accept to r1                    | RECORDED; status GRANTED; source REQUEST

# A refusal before the request does not answer it
profile atom
+0             | reject                          | RECORDED; status REJECTED
+1h            | request r1 sent                 | RECORDED; status PENDING
+25h           | view                            | status LAPSED

# A request that is merely held waits for nothing
profile atom
+0             | authorize-request r1            | ALLOW NEVER_ASKED; status NONE
+2m            | view                            | status NONE

# A request that was refused by the provider waits for nothing
profile atom
+0             | request r1 refused              | RECORDED; status NONE; day 0/1

# A request that could not be delivered waits for nothing
profile meta
+0             | request r1 sent                 | RECORDED; status PENDING
+1m            | request r1 undelivered          | RECORDED; status NONE
+8d            | view                            | status NONE

# A reply in the second of the request answers it
profile atom
+1s            | request r1 sent @+500ms         | RECORDED; status PENDING
               | accept expires +1h @+0          | RECORDED; status GRANTED
+1h            | view                            | status EXPIRED
+25h           | view                            | status EXPIRED

# A reply in the second before does not
profile atom
+1s            | request r1 sent @+500ms         | RECORDED; status PENDING
               | accept expires +1h @-1ms        | RECORDED; status PENDING
+1h            | view                            | status PENDING; valid_until +24h+500ms
+25h           | view                            | status LAPSED
