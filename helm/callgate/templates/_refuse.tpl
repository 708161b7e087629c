{{/* What would not work, or would be open without being said to be, is refused with its mend. */}}
{{- define "callgate.refuse" -}}
{{- $store := include "callgate.storeUrl" . -}}
{{- $secret := .Values.existingSecret -}}
{{- range $key := list "storeUrlKey" "privacyKeysKey" -}}
{{- if and (index $secret $key) (not $secret.name) -}}
{{- fail (printf "callgate: existingSecret.%s names a key of no Secret: set existingSecret.name" $key) -}}
{{- end -}}
{{- end -}}
{{- if and $secret.storeUrlKey .Values.store.url -}}
{{- fail "callgate: the store's URL is said twice: set store.url or existingSecret.storeUrlKey, not both" -}}
{{- end -}}
{{- if not (or $store $secret.storeUrlKey) -}}
{{- fail "callgate: no store: set store.url to a Redis URL such as redis://redis:6379, or existingSecret.name and existingSecret.storeUrlKey for one with a password" -}}
{{- end -}}
{{- if regexMatch "://[^/?]*:[^/?@]*@|[?&](sentinel_)?pass=" $store -}}
{{- fail "callgate: store.url holds a password, which everybody who may read ConfigMaps would see: put the URL into a Secret, and set existingSecret.name and existingSecret.storeUrlKey" -}}
{{- end -}}
{{- if and $secret.privacyKeysKey (dig "privacy" "key_file" "" .Values.config) -}}
{{- fail "callgate: the keys that hide customers are named twice: set existingSecret.privacyKeysKey or config.privacy.key_file, not both" -}}
{{- end -}}
{{- if include "callgate.storeIsOfOne" . -}}
{{- $many := gt (int .Values.replicaCount) 1 -}}
{{- if or $many .Values.autoscaling.enabled -}}
{{- fail (printf "callgate: the store %s is for one process, and there are to be several: set store.url to a Redis URL, or replicaCount to 1 and autoscaling.enabled to false" $store) -}}
{{- end -}}
{{- end -}}
{{- if hasPrefix "embedded:" $store -}}
{{- if not .Values.persistence.existingClaim -}}
{{- fail "callgate: the embedded store would be lost with its pod: set persistence.existingClaim" -}}
{{- end -}}
{{- if not (hasPrefix (printf "%s/" .Values.persistence.mountPath) (printf "%s/" (trimPrefix "embedded:" $store))) -}}
{{- fail (printf "callgate: %s does not lie in the volume: set store.url to embedded:%s/store" $store .Values.persistence.mountPath) -}}
{{- end -}}
{{- end -}}
{{- if include "callgate.grpcIsGuarded" . -}}
{{- $mend := "or, for a trial, add grpc to allowInsecure: then everybody who reaches the port may ask and record" -}}
{{- if not .Values.tls.grpc.existingSecret -}}
{{- fail (printf "callgate: gRPC would listen without TLS: set tls.grpc.existingSecret to a Secret of the type kubernetes.io/tls, and config.clients; %s" $mend) -}}
{{- end -}}
{{- if not .Values.config.clients -}}
{{- fail (printf "callgate: gRPC would know no client: set config.clients (callgate token makes a token and its hash); %s" $mend) -}}
{{- end -}}
{{- end -}}
{{- if .Values.webhook.enabled -}}
{{- if not (or .Values.tls.http.existingSecret (has "http" .Values.allowInsecure)) -}}
{{- fail "callgate: the webhook would listen without TLS: set tls.http.existingSecret, or add http to allowInsecure where TLS ends at the Ingress" -}}
{{- end -}}
{{- if not (and $secret.name $secret.appSecretKey) -}}
{{- fail "callgate: without Meta's app secret every webhook is refused: set existingSecret.name and existingSecret.appSecretKey, or webhook.enabled to false" -}}
{{- end -}}
{{- else if .Values.ingress.enabled -}}
{{- fail "callgate: the Ingress would lead to a port that is shut: set webhook.enabled to true, or ingress.enabled to false" -}}
{{- end -}}
{{- if not (or .Values.tls.admin.existingSecret (has "admin" .Values.allowInsecure)) -}}
{{- fail "callgate: the admin port would listen without TLS: set tls.admin.existingSecret, or add admin to allowInsecure" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "callgate: the Ingress has no host name: set ingress.host" -}}
{{- end -}}
{{- $drain := add (int .Values.drain.delaySeconds) (int .Values.drain.timeoutSeconds) -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $drain) -}}
{{- fail (printf "callgate: a gate would be killed while it drains: set terminationGracePeriodSeconds above %d, which is drain.delaySeconds and drain.timeoutSeconds together" (int $drain)) -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled -}}
{{- fail "callgate: every figure would be read twice: set one of metrics.podMonitor.enabled and metrics.serviceMonitor.enabled to false" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "callgate: autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- end -}}
