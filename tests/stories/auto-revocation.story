# The fourth miss in a row takes the permission away
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED; status GRANTED
+4m            | view                            | streak 3; status GRANTED
               | call c4 rejected                | RECORDED; status AUTO_REVOKED; streak 0; grant none;
               |                                 | valid_until never
               | check                           | DENY AUTO_REVOKED; next SEND_PERMISSION_REQUEST;
               |                                 | callable never; blocked AUTO_REVOKED

# A permanent permission is taken away as well
profile meta
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c3 unanswered          | RECORDED; grant PERMANENT
+4m            | call c4 unanswered              | RECORDED; status AUTO_REVOKED

# What calling in gave is taken away as well
profile atom
+0             | inbound call                    | RECORDED; status GRANTED
               | accept automatic                | RECORDED; status GRANTED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+5m            | view                            | status AUTO_REVOKED

# A new accept gives anew, and the run starts from nothing
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+1h            | accept                          | RECORDED; status GRANTED; streak 0; granted +1h
+2h every 1m   | call d1..d3 unanswered          | RECORDED; status GRANTED
+3h            | call d4 unanswered              | RECORDED; status AUTO_REVOKED; streak 0

# The taken permission does not come back when it would have run out
profile atom
+0             | accept expires +1d              | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+1d            | view                            | status AUTO_REVOKED
+2d            | view                            | status AUTO_REVOKED

# A late answer undoes the auto-revocation
> Its webhook came after the terminate.
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+5m            | view                            | status AUTO_REVOKED
               | call c4 answered @+4m           | RECORDED; status GRANTED; streak 0; window 1/5

# A late answered call in between undoes it too
profile atom
+0             | accept                          | RECORDED
+1m every 1m   | call c1..c4 unanswered          | RECORDED
+5m            | call c5 answered @+2m30s        | RECORDED; status GRANTED; streak 2

# Misses without any permission are told as taken away too
profile atom
+1m every 1m   | call c1..c3 unanswered          | RECORDED; status NONE
+4m            | call c4 unanswered              | RECORDED; status AUTO_REVOKED; streak 0

# Meta's test numbers wait for ten
profile meta-sandbox
+0             | accept permanent                | RECORDED
+1m every 1m   | call c1..c9 unanswered          | RECORDED; status GRANTED
+10m           | view                            | streak 9
               | call c10 unanswered             | RECORDED; status AUTO_REVOKED; streak 0

# The threshold is the profile's
profile atom; unanswered_warns_at 1; unanswered_revokes_at 2
+0             | accept                          | RECORDED
+1m            | call c1 unanswered              | RECORDED; status GRANTED; streak 1
+2m            | call c2 unanswered              | RECORDED; status AUTO_REVOKED; streak 0

# An automatic reject takes the permission away at its own time
profile meta
+0             | accept permanent                | RECORDED
+1h            | reject automatic                | RECORDED; status AUTO_REVOKED
               | check                           | DENY AUTO_REVOKED
+2h            | accept                          | RECORDED; status GRANTED

# A call refused with 138006 takes the permission away when the call was placed
> The provider says that there is none.
profile meta
+0             | accept permanent                | RECORDED
+1m            | call /w1 failed error 138006    | RECORDED; status AUTO_REVOKED; streak 0
+2m            | accept                          | RECORDED; status GRANTED

# An accept after the refused call was placed stands
profile meta
+0             | accept permanent                | RECORDED
+3m            | accept @+2m                     | RECORDED
               | call /w1 failed dialled +1m error 138006 | RECORDED; status GRANTED

# An accept before the refused call was placed does not
profile meta
+3m            | accept @+1m                     | RECORDED
               | call /w1 failed dialled +2m error 138006 | RECORDED; status AUTO_REVOKED

# Another error takes nothing away
profile meta
+0             | accept permanent                | RECORDED
+1m            | call /w1 failed error 138021    | RECORDED; status GRANTED
