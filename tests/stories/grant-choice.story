# A newer permanent accept replaces the temporary one
profile atom
+0             | accept                          | RECORDED; grant TEMPORARY
+1h            | accept permanent                | RECORDED; grant PERMANENT; valid_until never; granted +1h
+8d            | view                            | status GRANTED

# The customer's own newer temporary accept replaces the permanent one
profile atom
+0             | accept permanent                | RECORDED; grant PERMANENT
+1h            | accept                          | RECORDED; grant TEMPORARY; expires +7d1h; granted +1h
+7d+1h-1ms     | view                            | status GRANTED
+7d+1h         | view                            | status EXPIRED

# An older permanent accept that arrives late does not replace a newer temporary one
profile atom
+1h            | accept                          | RECORDED
+2h            | accept permanent @+30m          | DUPLICATE; grant TEMPORARY; expires +7d1h

# Calling in never shortens or downgrades what was given by hand
profile atom
+0             | accept permanent                | RECORDED
+1h            | inbound call                    | RECORDED; grant PERMANENT; source BUSINESS_PROFILE
+2h            | accept automatic expires +3h    | RECORDED; grant PERMANENT; valid_until never
+8d            | view                            | grant PERMANENT

# Of several temporary ones the one that ends last is in effect
profile atom
+0             | accept expires +9d              | RECORDED; expires +9d; source BUSINESS_PROFILE
+1h            | accept automatic                | RECORDED; expires +9d; source BUSINESS_PROFILE; granted +0
+2h            | accept automatic expires +10d   | RECORDED; expires +10d; source INBOUND_CALL; granted +2h
+3d+1h         | inbound call                    | RECORDED; expires +10d1h; granted +3d1h

# Each goes on when another runs out
profile atom
+0             | accept expires +2d              | RECORDED; source BUSINESS_PROFILE; valid_until +2d
+1h            | inbound call                    | RECORDED; source INBOUND_CALL; valid_until +7d1h; granted +1h
+2d            | view                            | status GRANTED
+7d+1h-1ms     | view                            | status GRANTED
+7d+1h         | view                            | status EXPIRED

# Equal ends: what the customer gave by hand comes first
profile atom
+0             | inbound call                    | RECORDED; source INBOUND_CALL; expires +7d
               | accept automatic                | RECORDED; source INBOUND_CALL; expires +7d
               | accept                          | RECORDED; source BUSINESS_PROFILE; expires +7d

# An accept that names a request was given on request, others in the profile
profile atom
+0             | accept                          | RECORDED; source BUSINESS_PROFILE
+1h            | accept to r1                    | RECORDED; source REQUEST
+2h            | accept                          | RECORDED; source BUSINESS_PROFILE

# The customer may change their mind as often as they like
profile atom
+0             | request r1 sent                 | RECORDED
+1m            | accept to r1                    | RECORDED; status GRANTED
+2m            | reject to r1                    | RECORDED; status REVOKED
+3m            | accept to r1                    | RECORDED; status GRANTED; source REQUEST
+4m            | accept permanent                | RECORDED; grant PERMANENT; source BUSINESS_PROFILE
+5m            | reject                          | RECORDED; status REVOKED
