# The article's rules: what a fresh pair shows
profile atom
+0             | view                            | window 0/5; permission 0/35; day 0/1; week 0/2
+1m            | inbound call                    | RECORDED; status GRANTED; expires +7d1m
+2m            | request r1 sent                 | RECORDED; status PENDING; valid_until +24h2m

# Meta's rules: what a fresh pair shows
profile meta
+0             | view                            | window 0/100; permission 0/0; day 0/1; week 0/2
+1m            | inbound call                    | RECORDED; status NONE
+2m            | request r1 sent                 | RECORDED; status PENDING; valid_until +7d2m

# Meta's rules for test numbers: what a fresh pair shows
profile meta-sandbox
+0             | view                            | window 0/100; permission 0/0; day 0/25; week 0/100
+1m            | inbound call                    | RECORDED; status NONE
+2m            | request r1 sent                 | RECORDED; status PENDING; valid_until +7d2m

# A profile that changes every key
profile atom; temporary_permission 2h; request_lapses_after 30m; requests_per_day 3; requests_per_week 4; connected_call_resets_requests true; undelivered_request_counts true; request_ends_permission false; calls_per_window 2; call_window 10m; calls_per_permission 3; calls_at_once 1; longest_call 5m; unanswered_warns_at 1; unanswered_revokes_at 3; canceled_is_unanswered false; inbound_call_grants false; lease 5s; expiring_soon 90m
+0             | view                            | window 0/2; permission 0/3; day 0/3; week 0/4
               | inbound call                    | RECORDED; status NONE
               | request r1 sent                 | RECORDED; status PENDING; valid_until +30m; day 1/3
               | request r2 undelivered          | RECORDED; day 2/3; week 2/4
+30m           | view                            | status LAPSED
+1h            | accept                          | RECORDED; status GRANTED; expires +3h
               | request r3 sent                 | RECORDED; status GRANTED; day 3/3
               | authorize c1                    | ALLOW; lease +1h5s; warnings NEXT_MISS_WARNS_CUSTOMER
               | call c1 answered                | RECORDED; day 0/3; window 1/2; permission 1/3
+1h+5m-1ms     | check                           | DENY CALL_IN_PROGRESS; callable +1h5m
+1h+5m         | authorize c2                    | ALLOW; warnings LAST_CALL_IN_WINDOW NEXT_MISS_WARNS_CUSTOMER
               | call c2 answered ended +1h5m    | RECORDED; window 2/2 free +1h10m
+1h+10m        | authorize c3                    | ALLOW; permission 2+1/3; warnings NEXT_MISS_WARNS_CUSTOMER
               |                                 | LAST_CALL_IN_WINDOW
               | call c3 canceled                | RECORDED; streak 0
+1h30m-1ms     | authorize c4                    | ALLOW; warnings NEXT_MISS_WARNS_CUSTOMER
               | call c4 unanswered              | RECORDED; streak 1
+1h30m         | authorize c5                    | ALLOW; warnings CUSTOMER_WARNED PERMISSION_EXPIRES_SOON
               | call c5 unanswered              | RECORDED; streak 2
+1h31m         | call c6 rejected                | RECORDED; status AUTO_REVOKED; streak 0

# A profile from a configuration file that changes every key
profile every-key from every-key.toml
+0             | view                            | window 0/2; permission 0/3; day 0/3; week 0/4
               | inbound call                    | RECORDED; status GRANTED; source INBOUND_CALL; valid_until +2h
               | request r1 sent @+0             | RECORDED; status GRANTED; day 1/3
+1m            | request r2 sent                 | RECORDED; status PENDING; valid_until +31m; day 2/3; week 2/4
               | request r3 undelivered          | RECORDED; day 2/3; week 2/4
+31m           | view                            | status LAPSED
+1h            | accept                          | RECORDED; status GRANTED; expires +3h
               | authorize c1                    | ALLOW; lease +1h5s; warnings NEXT_MISS_WARNS_CUSTOMER
               | call c1 answered                | RECORDED; day 2/3; window 1/2; permission 1/3
               | authorize c2                    | ALLOW; lease +1h5s
               | authorize c3                    | DENY CALL_WINDOW_LIMIT; callable +1h5s;
               |                                 | blocked CALL_WINDOW_LIMIT CALL_IN_PROGRESS
+1h5s-1ms      | check                           | DENY CALL_WINDOW_LIMIT
+1h5s          | check                           | ALLOW
+1h1m          | call c3 answered                | RECORDED; window 2/2; permission 2/3
               | check                           | DENY CALL_WINDOW_LIMIT; callable +1h10m;
               |                                 | blocked CALL_WINDOW_LIMIT CALL_IN_PROGRESS
+1h5m          | check                           | DENY CALL_WINDOW_LIMIT; blocked CALL_WINDOW_LIMIT
+1h10m         | authorize c4                    | ALLOW; permission 2+1/3
               | call c4 canceled                | RECORDED; streak 0
+1h30m-1ms     | authorize c5                    | ALLOW; warnings NEXT_MISS_WARNS_CUSTOMER
               | call c5 unanswered              | RECORDED; streak 1
+1h30m         | authorize c6                    | ALLOW; warnings CUSTOMER_WARNED PERMISSION_EXPIRES_SOON
               | call c6 unanswered              | RECORDED; streak 2
+1h31m         | call c7 rejected                | RECORDED; status AUTO_REVOKED; streak 0
