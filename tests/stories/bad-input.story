# Times of a call at most five minutes ahead
profile atom
+0             | accept                          | RECORDED
               | call c1 answered picked_up +5m+1ms | REFUSED invalid
               | call c1 answered ended +5m+1ms  | REFUSED invalid
               | call c1 failed dialled +5m+1ms  | REFUSED invalid
               | view                            | window 0/5; revision same
               | call c1 answered picked_up +5m ended +5m | RECORDED; window 1/5

# An expiry at most sixty days after the accept
profile atom
+0             | accept expires +60d+1ms         | REFUSED invalid
               | accept automatic expires +60d+1ms | REFUSED invalid
               | view                            | status NONE
               | accept expires +60d             | RECORDED; expires +60d
               | accept expires +60d             | DUPLICATE

# A report on the number at most five minutes ahead
profile atom
+0             | number paused @+5m+1ms          | REFUSED invalid
               | number look                     | SAME; number.pause 0
               | number paused @+5m              | CHANGED; number.pause 2
