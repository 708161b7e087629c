# A call is allowed while a permission is in effect and nothing is full
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW TEMPORARY_PERMISSION; blocked none; next PLACE_CALL;
               |                                 | callable never; lease +2m30s; warnings none; replayed no;
               |                                 | status GRANTED; window 0+1/5; revision grew
+2m            | accept permanent                | RECORDED
               | authorize c2                    | ALLOW PERMANENT_PERMISSION

# A denial holds nothing and changes nothing
profile atom
+0             | inbound message                 | RECORDED
+1m            | authorize c1                    | DENY NEVER_ASKED; lease never; revision same; window 0/5

# Each way to be without permission has its reason and its next step
profile atom
+0             | check                           | DENY NEVER_ASKED; next SEND_PERMISSION_REQUEST
               | request r1 sent                 | RECORDED
+1m            | check                           | DENY AWAITING_REPLY; next WAIT_FOR_CUSTOMER
+24h           | check                           | DENY REQUEST_LAPSED; next SEND_PERMISSION_REQUEST
+25h           | reject to r1                    | RECORDED
               | check                           | DENY REJECTED; next SEND_PERMISSION_REQUEST
+26h           | accept                          | RECORDED
+27h           | reject                          | RECORDED
               | check                           | DENY REVOKED; next SEND_PERMISSION_REQUEST
+28h           | reject automatic                | RECORDED
               | check                           | DENY AUTO_REVOKED; next SEND_PERMISSION_REQUEST
+29h           | accept expires +30h             | RECORDED
+30h           | check                           | DENY EXPIRED; next SEND_PERMISSION_REQUEST

# Missing permission comes before limits, and all is listed
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c5 answered            | RECORDED
+6m            | reject                          | RECORDED
               | check                           | DENY REVOKED; blocked REVOKED CALL_WINDOW_LIMIT;
               |                                 | callable never; next SEND_PERMISSION_REQUEST

# A pause comes before missing permission and before limits
profile meta; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+2m            | number paused until +10m        | CHANGED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; callable +24h1m; next WAIT;
               |                                 | blocked BUSINESS_NUMBER_PAUSED CALL_IN_PROGRESS CALL_WINDOW_LIMIT
+3m            | reject                          | RECORDED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; callable never;
               |                                 | blocked BUSINESS_NUMBER_PAUSED REVOKED CALL_IN_PROGRESS CALL_WINDOW_LIMIT

# A pause that ends last decides when
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW
               | number paused until +2h         | CHANGED
               | authorize c2                    | DENY BUSINESS_NUMBER_PAUSED; callable +2h; next WAIT;
               |                                 | blocked BUSINESS_NUMBER_PAUSED CALL_WINDOW_LIMIT

# A pause without end and a full window: somebody must mend the number
profile atom; calls_per_window 1
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
               | number paused                   | CHANGED
               | check                           | DENY BUSINESS_NUMBER_PAUSED; callable never; next FIX_BUSINESS_NUMBER;
               |                                 | blocked BUSINESS_NUMBER_PAUSED CALL_WINDOW_LIMIT

# The limit that frees last is the reason
profile atom; calls_per_window 1; calls_per_permission 2
+0             | accept                          | RECORDED
+1m            | call c1 answered                | RECORDED
+24h+1m        | authorize c2                    | ALLOW; permission 1+1/2; window 0+1/1
               | check                           | DENY CALL_WINDOW_LIMIT; callable +24h2m30s; next WAIT;
               |                                 | blocked CALL_WINDOW_LIMIT CALL_PERMISSION_LIMIT
+24h+2m        | call c2 answered                | RECORDED
               | check                           | DENY CALL_PERMISSION_LIMIT; callable never;
               |                                 | blocked CALL_WINDOW_LIMIT CALL_PERMISSION_LIMIT;
               |                                 | next SEND_PERMISSION_REQUEST

# Nothing helps if the permission is over by then
profile atom; calls_per_window 1
+0             | accept expires +24h1m           | RECORDED
+1m            | call c1 answered                | RECORDED
               | check                           | DENY CALL_WINDOW_LIMIT; callable never; next SEND_PERMISSION_REQUEST
+2m            | accept expires +24h1m+1ms       | RECORDED
               | check                           | DENY CALL_WINDOW_LIMIT; callable +24h1m; next WAIT
+3m            | accept expires +24h1m-1ms       | RECORDED
               | check                           | DENY CALL_WINDOW_LIMIT; callable never
+4m            | accept permanent                | RECORDED
               | check                           | DENY CALL_WINDOW_LIMIT; callable +24h1m

# All holds must lapse before enough is free
profile atom; calls_per_window 2
+0             | accept                          | RECORDED
+1m            | call /w1 ringing                | RECORDED
+1m10s         | call /w2 ringing                | RECORDED
+1m20s         | call /w3 ringing                | RECORDED; window 0+3/2 free +2m40s
               | check                           | DENY CALL_WINDOW_LIMIT; callable +2m40s
+2m40s-1ms     | check                           | DENY CALL_WINDOW_LIMIT
+2m40s         | check                           | ALLOW
