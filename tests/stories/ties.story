# Two accepts at one millisecond: temporary before permanent
profile atom
+0             | accept permanent                | RECORDED; grant PERMANENT
               | accept @+0                      | RECORDED; grant TEMPORARY; expires +7d
               | accept permanent @+0            | DUPLICATE; grant TEMPORARY

# Two accepts at one millisecond: the earlier expiry, no expiry told last
profile atom
+0             | accept                          | RECORDED; expires +7d
               | accept expires +9d @+0          | RECORDED; expires +9d
               | accept expires +8d @+0          | RECORDED; expires +8d
               | accept expires +9d @+0          | DUPLICATE; expires +8d
               | accept @+0                      | DUPLICATE; expires +8d

# Two accepts at one millisecond: a smaller request id, and one that names none is smaller still
profile atom
+0             | accept to r2                    | RECORDED; source REQUEST
               | accept to r1 @+0                | RECORDED; source REQUEST
               | accept to r2 @+0                | DUPLICATE; source REQUEST
               | accept @+0                      | RECORDED; source BUSINESS_PROFILE
               | accept to r1 @+0                | DUPLICATE; source BUSINESS_PROFILE

# Two rejects at one millisecond: the smaller request id
profile atom
+0             | reject to r2                    | RECORDED
               | reject to r1 @+0                | RECORDED
               | reject to r2 @+0                | DUPLICATE

# Two automatic accepts at one millisecond: the earlier expiry, no expiry told last
profile meta
+0             | accept automatic                | RECORDED; expires +7d
               | accept automatic expires +8d @+0| RECORDED; expires +8d
               | accept automatic expires +6d @+0| RECORDED; expires +6d
               | accept automatic @+0            | DUPLICATE; expires +6d

# Of a temporary and a permanent yes at one time the temporary one counts, whichever request they name
profile atom
+0             | accept to r2                    | RECORDED; grant TEMPORARY
               | accept permanent to r1          | DUPLICATE; grant TEMPORARY
