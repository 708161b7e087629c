# The customer's message opens a window of 24 h
profile atom
+0             | inbound message                 | RECORDED; conversation +24h; status NONE
+24h-1ms       | view                            | conversation +24h
+24h           | view                            | conversation never
+24h+1ms       | view                            | conversation never

# The customer's call opens it too, answered or not; the newest counts
profile meta
+0             | inbound call                    | RECORDED; conversation +24h
+1h            | inbound call answered           | RECORDED; conversation +25h
+2h            | inbound message                 | RECORDED; conversation +26h
               | inbound call @+1h30m            | RECORDED; conversation +26h

# Our own calls and the customer's replies do not
profile atom
+0             | accept                          | RECORDED; conversation never
+1m            | call c1 answered                | RECORDED; conversation never
+2m            | accept automatic                | RECORDED; conversation never
+3m            | request r1 sent                 | RECORDED; conversation never
