# The streak warns before the customer is warned, and before the permission goes
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; warnings none
               | call c1 unanswered              | RECORDED
+2m            | authorize c2                    | ALLOW; warnings NEXT_MISS_WARNS_CUSTOMER
               | call c2 unanswered              | RECORDED
+3m            | authorize c3                    | ALLOW; warnings CUSTOMER_WARNED
               | call c3 unanswered              | RECORDED
+4m            | authorize c4                    | ALLOW; warnings CUSTOMER_WARNED NEXT_MISS_REVOKES
               | call c4 answered                | RECORDED
+5m            | authorize c5                    | ALLOW; warnings none

# Meta's test numbers warn later
profile meta-sandbox
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+4m            | authorize c4                    | ALLOW; warnings none
               | call c4 unanswered              | RECORDED
+5m            | authorize c5                    | ALLOW; warnings NEXT_MISS_WARNS_CUSTOMER
               | call c5 unanswered              | RECORDED
+6m            | authorize c6                    | ALLOW; warnings CUSTOMER_WARNED
               | call c6 unanswered              | RECORDED
+7m every 1m   | call c7..c9 unanswered          | RECORDED
+10m           | authorize c10                   | ALLOW; warnings CUSTOMER_WARNED NEXT_MISS_REVOKES

# The thresholds are the profile's
profile atom; unanswered_warns_at 1; unanswered_revokes_at 2
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; warnings NEXT_MISS_WARNS_CUSTOMER
               | call c1 unanswered              | RECORDED
+2m            | authorize c2                    | ALLOW; warnings CUSTOMER_WARNED NEXT_MISS_REVOKES

# The hold that fills the window says so
profile atom; calls_per_window 2
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; warnings none
+2m            | authorize c2                    | ALLOW; warnings LAST_CALL_IN_WINDOW

# A permission that ends soon says so
profile atom
+0             | accept expires +2h              | RECORDED
+1h-1ms        | authorize c1                    | ALLOW; warnings none
+1h            | authorize c2                    | ALLOW; warnings PERMISSION_EXPIRES_SOON
+1h+1ms        | authorize c3                    | ALLOW; warnings PERMISSION_EXPIRES_SOON

# How soon is the profile's
profile atom; expiring_soon 10m
+0             | accept expires +2h              | RECORDED
+1h50m-1ms     | authorize c1                    | ALLOW; warnings none
+1h50m         | authorize c2                    | ALLOW; warnings PERMISSION_EXPIRES_SOON

# A permanent permission never ends soon
profile atom
+0             | accept permanent                | RECORDED
+10d           | authorize c1                    | ALLOW; warnings none

# All at once
profile atom; calls_per_window 1
+0             | accept expires +10m             | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+5m            | authorize c4                    | ALLOW; warnings CUSTOMER_WARNED NEXT_MISS_REVOKES
               |                                 | LAST_CALL_IN_WINDOW PERMISSION_EXPIRES_SOON

# A denial warns of nothing
profile atom
+0             | accept expires +10m             | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED
+5m            | reject                          | RECORDED
               | authorize c4                    | DENY REVOKED; warnings none
