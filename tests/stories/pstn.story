# Calls on the ordinary network are accepted and change nothing
profile atom
+0             | accept                          | RECORDED
+1m            | call c1/w1 answered pstn        | DUPLICATE; window 0/5; revision same
+2m every 1m   | call d1..d4 unanswered pstn     | DUPLICATE; streak 0; status GRANTED
+6m            | call /w9 failed error 138006 pstn | DUPLICATE; status GRANTED
               | call c2 placed pstn             | DUPLICATE; window 0/5

# Not even a call that is held here
profile atom
+0             | accept                          | RECORDED
+1m            | authorize c1                    | ALLOW; window 0+1/5
               | call c1 answered pstn           | DUPLICATE; window 0+1/5; revision same
               | authorize c1                    | ALLOW; replayed yes
