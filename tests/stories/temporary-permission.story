# A temporary permission lasts seven days where no expiry is told
> A grant is over at now >= expires_at.
profile atom
+0             | accept                          | RECORDED; status GRANTED; grant TEMPORARY; granted +0;
               |                                 | expires +7d; valid_until +7d
+7d-1ms        | view                            | status GRANTED; expires +7d
               | check                           | ALLOW TEMPORARY_PERMISSION
+7d            | view                            | status EXPIRED; grant none; expires never; valid_until never
               | check                           | DENY EXPIRED; blocked EXPIRED; callable never;
               |                                 | next SEND_PERMISSION_REQUEST
+7d+1ms        | view                            | status EXPIRED

# An expiry that is told counts, shorter or longer than seven days
profile atom
+0             | accept expires +2d              | RECORDED; status GRANTED; expires +2d; valid_until +2d
+2d-1ms        | view                            | status GRANTED
+2d            | view                            | status EXPIRED
+3d            | accept expires +19d             | RECORDED; status GRANTED; expires +19d
+19d-1ms       | view                            | status GRANTED
+19d           | view                            | status EXPIRED
+19d+1ms       | view                            | status EXPIRED

# The length of a permission is the profile's, not the fact's
profile atom; temporary_permission 10d
+0             | accept                          | RECORDED; expires +10d
+10d-1ms       | view                            | status GRANTED
+10d           | view                            | status EXPIRED
+10d+1ms       | view                            | status EXPIRED

# A permission that was over before it was told of does not allow
profile atom
+0             | accept expires -1s @-1h         | RECORDED; status EXPIRED
               | check                           | DENY EXPIRED

# A permanent permission has no end
profile atom
+0             | accept permanent                | RECORDED; status GRANTED; grant PERMANENT; expires never;
               |                                 | valid_until never
+300d          | check                           | ALLOW PERMANENT_PERMISSION
               | view                            | status GRANTED; grant PERMANENT

# Both permanent and with an expiry is temporary: the narrower reading
profile atom
+0             | accept permanent expires +2d    | RECORDED; grant TEMPORARY; expires +2d
+2d            | view                            | status EXPIRED
