# Both ids seen together are one customer
profile atom
+0             | accept as A                     | RECORDED; status GRANTED; user none
               | view as U                       | status NONE
+1m            | identity as A+U                 | RECORDED; status GRANTED; user US.1000; wa 15550199001
               | view as U                       | status GRANTED; user US.1000; wa 15550199001
               | view as A                       | status GRANTED; user US.1000
               | view as A+U                     | status GRANTED
+2m            | identity as A+U                 | DUPLICATE

# Facts under both ids are joined
profile atom
+0             | accept as U                     | RECORDED; status GRANTED
               | call c1 answered as A           | RECORDED; status NONE; window 1/5
+1m            | inbound message as A+U          | RECORDED; status GRANTED; window 1/5
               | call c2 unanswered as U         | RECORDED; streak 1; window 1/5
               | call c3 unanswered as A         | RECORDED; streak 2
               | view as U                       | streak 2; window 1/5; status GRANTED

# One call told under either id is one call
profile atom
+0             | call /w1 answered as A          | RECORDED
               | call /w1 answered as U          | RECORDED
+1m            | identity as A+U                 | RECORDED; window 1/5

# A read looks under both ids and binds nothing
profile atom
+0             | accept as U                     | RECORDED
+1m            | view as A+U                     | status GRANTED
               | check as A+U                    | ALLOW
               | view as A                       | status NONE
               | check as A                      | DENY NEVER_ASKED

# A denial looks under both ids and binds nothing
profile atom
+0             | accept as U                     | RECORDED
               | reject as U                     | RECORDED; status REJECTED
+1m            | authorize c1 as A+U             | DENY REJECTED
               | view as A                       | status NONE

# An ALLOW binds
profile atom
+0             | accept as U                     | RECORDED
+1m            | authorize c1 as A+U             | ALLOW; window 0+1/5
               | view as A                       | status GRANTED; window 0+1/5; user US.1000

# An ALLOW of a request binds too
profile atom
+0             | inbound message as U            | RECORDED
+1m            | authorize-request r1 as A+U     | ALLOW; day 0+1/1
               | view as A                       | day 0+1/1
               | view as U                       | day 0+1/1

# A hold under one id is found under the other
profile atom
+0             | accept as A+U                   | RECORDED
+1m            | authorize c1 as A               | ALLOW
               | authorize c1 as U               | ALLOW; replayed yes
               | call c1 answered as U           | RECORDED
               | view as A                       | window 1/5

# Customers are apart, and so are business numbers
profile atom
+0             | accept as A                     | RECORDED
               | accept as U                     | RECORDED
               | view as B                       | status NONE
               | view as V                       | status NONE

# Spellings of one number are one customer
profile atom
+0             | accept as 5511987654321         | RECORDED
               | view as 551187654321            | status GRANTED; wa 551187654321
               | view as +5511987654321          | status GRANTED
               | accept as 5491123456789         | RECORDED
               | view as 541123456789            | status GRANTED
               | accept as 5215512345678         | RECORDED
               | view as 525512345678            | status GRANTED

# What is shown is the newest spelling that Meta used
profile atom
+0             | accept as 551187654321          | RECORDED; wa 551187654321
+1m            | inbound message as 5511987654321 spelled | RECORDED; wa 5511987654321
+2m            | inbound message as 551187654321 | RECORDED; wa 5511987654321
+3m            | inbound message as 551187654321 spelled | RECORDED; wa 551187654321
+4m            | inbound message as 5511987654321 spelled @+2m30s | wa 551187654321

# A no counts under every number that is still the customer's own
profile atom
+0             | identity as A+U                 | RECORDED
+1m            | accept permanent as U           | RECORDED; status GRANTED
+2m            | reject as A                     | RECORDED; status REVOKED
+1d            | identity as B+U                 | RECORDED; status REVOKED
               | check as U                      | DENY REVOKED
               | check as B                      | DENY REVOKED
               | check as B+U                    | DENY REVOKED

# A no under the user id counts for every number of it
profile atom
+0             | accept permanent as A+U         | RECORDED
+1m            | identity as B+U                 | RECORDED; status NONE
+2m            | reject as U                     | RECORDED
               | check as A                      | DENY REVOKED
+3m            | accept as B                     | RECORDED; status GRANTED
+4m            | reject as B                     | RECORDED; status REVOKED
               | view as A                       | status REVOKED

# A yes under the number before does not count under the next one
profile atom
+0             | accept permanent as A+U         | RECORDED
+1d            | identity as B+U                 | RECORDED; status NONE
               | view as B                       | status NONE
               | view as A                       | status GRANTED

# Misses under every number of a customer are one streak
profile atom
+0             | accept permanent as U           | RECORDED
               | identity as A+U                 | RECORDED
+1m            | call c1 unanswered as A         | RECORDED; streak 1
+2m            | identity as B+U                 | RECORDED
+3m            | call c2 unanswered as B         | RECORDED; streak 2
+4m            | call c3 unanswered as A         | RECORDED; streak 3
+5m            | call c4 unanswered as U         | RECORDED; streak 0; status AUTO_REVOKED
               | check as B                      | DENY AUTO_REVOKED
               | check as A                      | DENY AUTO_REVOKED

# A repeated ALLOW binds too
profile atom
+0             | accept as A                     | RECORDED
+1m            | authorize c1 as A               | ALLOW
               | authorize c1 as A+U             | ALLOW; replayed yes; window 0+1/5
               | view as U                       | status GRANTED; window 0+1/5

# A spelling is shown although what came with it is no news
profile atom
+0             | call c1 answered as 5511987654321 spelled | RECORDED; wa 5511987654321
+1m            | call c1 unanswered as 551187654321 spelled | DUPLICATE; wa 551187654321
               | view as 5511987654321           | wa 551187654321

# Of two spellings at one time the larger is shown, told in any order
profile atom
+0             | accept as 551187654321 spelled  | RECORDED; wa 551187654321
               | call c1 answered as 5511987654321 spelled | RECORDED; wa 5511987654321
               | call c2 answered as 551187654321 spelled | RECORDED; wa 5511987654321
               | view as 551187654321            | wa 5511987654321

# A no under the user id counts for a number that it had before, also from before the next number
profile atom
+0             | accept as B+U                   | RECORDED; status GRANTED
+1m            | reject as U                     | RECORDED; status REVOKED
+2m            | identity as A+U                 | RECORDED
               | view as B                       | status REVOKED
               | check as B                      | DENY REVOKED

# A no that was told under both ids outlives the bond between them
profile atom
+0             | accept permanent as U           | RECORDED; status GRANTED
+1m            | reject as A+U                   | RECORDED; status REVOKED
+2m            | identity as A+V                 | RECORDED
               | view as U                       | status REVOKED
               | check as U                      | DENY REVOKED

# What the provider took under both ids stays taken when the bond is gone
profile atom
+0             | accept permanent as U           | RECORDED; status GRANTED
+1m            | reject automatic as A+U         | RECORDED; status AUTO_REVOKED
+2m            | identity as A+V                 | RECORDED
               | view as U                       | status AUTO_REVOKED

# A call that was refused for want of a permission says so under both ids
profile atom
+0             | accept permanent as U           | RECORDED; status GRANTED
+1m            | call /w1 failed dialled +30s error 138006 as A+U | RECORDED; status AUTO_REVOKED
+2m            | identity as A+V                 | RECORDED
               | view as U                       | status AUTO_REVOKED
+3m            | accept as U @+29s               | RECORDED; status AUTO_REVOKED
               | accept as U @+31s               | RECORDED; status GRANTED

# A yes, a call and another error that were told under both ids are kept under the number alone
profile atom
+0             | accept permanent as A+U         | RECORDED; status GRANTED
+2m            | identity as A+V                 | RECORDED
               | view as U                       | status NONE
               | accept permanent as U           | RECORDED; status GRANTED
+3m            | call /w1 failed error 7 as B+U  | RECORDED; status GRANTED
               | call /w2 unanswered as B+U      | RECORDED; status GRANTED
+4m            | identity as B+V                 | RECORDED
               | view as U                       | status GRANTED

# The revision grows with every record that is joined
profile atom
+0             | accept as U                     | RECORDED; revision grew
               | accept as A                     | RECORDED; revision same
+1m            | call c1 answered as A           | RECORDED; revision grew
+2m            | call c2 answered as A           | RECORDED; revision grew
+3m            | identity as A+U                 | RECORDED; revision grew
+4m            | inbound message as U            | RECORDED; revision grew

# Calls allowed under two ids count together once these are seen together, beyond a limit too
profile atom; calls_per_window 1
+0             | accept as A                     | RECORDED
               | accept as U                     | RECORDED
+1m            | authorize c1 as A               | ALLOW; window 0+1/1
               | authorize c2 as U               | ALLOW; window 0+1/1
               | identity as A+U                 | RECORDED; window 0+2/1
               | authorize c3 as A               | DENY CALL_WINDOW_LIMIT
