# Under the article's rules a new request ends the permission in effect
profile atom
+0             | accept                          | RECORDED; status GRANTED
+1h            | request r1 sent                 | RECORDED; status PENDING; grant none; valid_until +25h
               | check                           | DENY AWAITING_REPLY; next WAIT_FOR_CUSTOMER; callable never
+25h           | view                            | status LAPSED
+7d            | view                            | status LAPSED
+7d+1h         | accept to r1                    | RECORDED; status GRANTED; source REQUEST

# A permanent permission is ended as well
profile atom
+0             | accept permanent                | RECORDED
+1h            | request r1 sent                 | RECORDED; status PENDING; grant none

# Under Meta's rules it ends nothing
profile meta
+0             | accept                          | RECORDED
+1h            | request r1 sent                 | RECORDED; status GRANTED; granted +0; valid_until +7d
+2h            | accept permanent                | RECORDED; grant PERMANENT
+3h            | request r2 sent                 | RECORDED; grant PERMANENT

# A request that is merely held ends nothing
profile atom
+0             | accept                          | RECORDED
+1h            | authorize-request r1 replace    | ALLOW TEMPORARY_PERMISSION; status GRANTED
               | check                           | ALLOW
+1h+2m         | view                            | status GRANTED

# A request that was refused ends nothing
profile atom
+0             | accept                          | RECORDED
+1h            | authorize-request r1 replace    | ALLOW
               | request r1 refused              | RECORDED; status GRANTED

# A request that could not be delivered ends it
profile atom
+0             | accept                          | RECORDED
+1h            | request r1 sent                 | RECORDED; status PENDING
+2h            | request r1 undelivered          | RECORDED; status NONE; grant none
               | check                           | DENY NEVER_ASKED; next SEND_PERMISSION_REQUEST

# Its reply gives anew
profile atom
+0             | accept                          | RECORDED
+1h            | request r1 sent                 | RECORDED
+2h            | accept to r1                    | RECORDED; status GRANTED; source REQUEST; granted +2h

# Any accept not before it gives anew
profile atom
+0             | accept                          | RECORDED
+1h            | request r1 sent                 | RECORDED
+2h            | accept                          | RECORDED; status GRANTED; source BUSINESS_PROFILE

# The reply to an earlier request is ended by the newest one
profile atom
+0             | request r1 sent                 | RECORDED
+1h            | accept to r1                    | RECORDED; status GRANTED
+25h           | request r2 sent                 | RECORDED; status PENDING
+26h           | accept to r1                    | RECORDED; status GRANTED

# An older request that is told late ends nothing given after it
profile atom
+1h            | accept                          | RECORDED
+2h            | request r1 sent @+30m           | RECORDED; status GRANTED

# Of two newest requests at one time the larger id is the newest
profile atom
+10s           | request r2 sent @+9s            | RECORDED
               | request r1 sent @+9s            | RECORDED; status PENDING
               | accept to r2 @+5s               | RECORDED; status GRANTED

# The newest request is the one sent last, whatever it is called
profile atom
+10s           | request r1 sent                 | RECORDED
               | request r2 sent @+0             | RECORDED
               | accept @+5s                     | RECORDED; status PENDING

# ... and in whatever order they are told
profile atom
+10s           | request r2 sent @+0             | RECORDED
               | request r1 sent                 | RECORDED
               | accept @+5s                     | RECORDED; status PENDING

# Of two sent at one time the larger id is the newest
profile atom
+10s           | request r1 sent                 | RECORDED
               | request r2 sent                 | RECORDED
               | accept to r2 @+5s               | RECORDED; status GRANTED

# ... and in whatever order they are told, so that a yes to the smaller does not stand
profile atom
+10s           | request r2 sent                 | RECORDED
               | request r1 sent                 | RECORDED
               | accept to r1 @+5s               | RECORDED; status PENDING
