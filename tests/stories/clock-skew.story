# Facts up to five minutes ahead of the clock count at once
profile atom
+0             | accept @+5m-1ms                 | RECORDED; status GRANTED; granted +5m-1ms; expires +7d+5m-1ms
               | call c1 answered @+5m           | RECORDED; window 1/5
               | reject @+5m                     | RECORDED; status REVOKED

# A fact further ahead than five minutes is refused
profile atom
+0             | accept @+5m+1ms                 | REFUSED invalid
               | call c1 answered @+5m+1ms       | REFUSED invalid
               | view                            | status NONE; window 0/5
