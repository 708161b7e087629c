{{/*
The gate as a native sidecar: under `initContainers` of a pod, before whatever asks it.
All templates of this file take the root of the bot's chart.
*/}}
{{- define "callgate.sidecar" -}}
{{- include "callgate.sidecar.refuse" . -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
- name: callgate
  image: {{ include "callgate.sidecar.image" . | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  restartPolicy: Always
  args:
    - serve
  env:
    {{- if $values.existingConfigMap.name }}
    - name: CALLGATE_CONFIG
      value: {{ printf "/etc/callgate/config/%s" $values.existingConfigMap.key | quote }}
    {{- end }}
    - name: CALLGATE_GRPC_ADDR
      value: {{ include "callgate.sidecar.grpcAddr" . | quote }}
    - name: CALLGATE_HTTP_ADDR
      value: "off"
    - name: CALLGATE_ADMIN_ADDR
      value: "0.0.0.0:{{ int $values.ports.admin }}"
    - name: CALLGATE_ALLOW_INSECURE
      value: admin
    {{- range $limit := list "calls" "batches" "streams" "connections" }}
    - name: {{ printf "CALLGATE_LIMITS_%s" (upper $limit) }}
      value: {{ int (index $values.limits $limit) | quote }}
    {{- end }}
    {{- if $values.existingSecret.storeUrlKey }}
    - name: CALLGATE_STORE_FILE
      value: {{ printf "/etc/callgate/secrets/%s" $values.existingSecret.storeUrlKey | quote }}
    {{- else }}
    - name: CALLGATE_STORE
      value: {{ $values.store.url | quote }}
    {{- end }}
    {{- with $values.existingSecret.privacyKeysKey }}
    - name: CALLGATE_PRIVACY_KEY_FILE
      value: {{ printf "/etc/callgate/secrets/%s" . | quote }}
    {{- end }}
    {{- with $values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: callgate-admin
      containerPort: {{ int $values.ports.admin }}
  startupProbe:
    httpGet:
      path: /readyz
      port: callgate-admin
    {{- toYaml $values.startupProbe | nindent 4 }}
  livenessProbe:
    httpGet:
      path: /livez
      port: callgate-admin
    {{- toYaml $values.livenessProbe | nindent 4 }}
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      drop:
        - ALL
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    {{- range $key := list "runAsUser" "runAsGroup" }}
    {{- with index $values.podSecurity $key }}
    {{ $key }}: {{ int64 . }}
    {{- end }}
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    {{- if $values.existingConfigMap.name }}
    - name: callgate-config
      mountPath: /etc/callgate/config
      readOnly: true
    {{- end }}
    {{- if include "callgate.sidecar.secretItems" . }}
    - name: callgate-secrets
      mountPath: /etc/callgate/secrets
      readOnly: true
    {{- end }}
    {{- with include "callgate.volumeMounts" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* What the sidecar mounts: under `volumes` of the pod. Empty where it mounts nothing. */}}
{{- define "callgate.volumes" -}}
{{- include "callgate.sidecar.volumes" . | trim -}}
{{- end -}}

{{- define "callgate.sidecar.volumes" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
{{- with $values.existingConfigMap.name }}
- name: callgate-config
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- with include "callgate.sidecar.secretItems" . }}
- name: callgate-secrets
  secret:
    secretName: {{ $values.existingSecret.name | quote }}
    items:
      {{- . | nindent 6 }}
{{- end }}
{{- if $values.socket.enabled }}
- name: callgate-socket
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- end -}}

{{/* Where the bot finds the gate: under `env` of its container. */}}
{{- define "callgate.env" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
- name: CALLGATE_ADDR
  value: {{ ternary (include "callgate.sidecar.grpcAddr" .) (printf "http://%s" (include "callgate.sidecar.grpcAddr" .)) $values.socket.enabled | quote }}
{{- end -}}

{{/* The socket's folder: under `volumeMounts` of the bot's container. Empty without a socket. */}}
{{- define "callgate.volumeMounts" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
{{- if $values.socket.enabled -}}
- name: callgate-socket
  mountPath: {{ $values.socket.mountPath | quote }}
{{- end }}
{{- end -}}

{{/* For a Prometheus that finds pods by annotations instead of by the operator's PodMonitor. */}}
{{- define "callgate.podAnnotations" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ int $values.ports.admin | quote }}
prometheus.io/path: /metrics
{{- end -}}

{{/* The keys of the Secret that are mounted, as the items of a volume. */}}
{{- define "callgate.sidecar.secretItems" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
{{- range $key := list $values.existingSecret.storeUrlKey $values.existingSecret.privacyKeysKey | compact | uniq }}
- key: {{ $key | quote }}
  path: {{ $key | quote }}
{{- end -}}
{{- end -}}

{{- define "callgate.sidecar.values" -}}
{{- index .Values "callgate-sidecar" | toYaml -}}
{{- end -}}

{{- define "callgate.sidecar.image" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
{{- $tag := $values.image.tag | default "0.1.0" -}}
{{- if $values.image.digest -}}
{{- printf "%s@%s" $values.image.repository $values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{- define "callgate.sidecar.grpcAddr" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
{{- if $values.socket.enabled -}}
{{- printf "unix:%s/callgate.sock" $values.socket.mountPath -}}
{{- else -}}
{{- printf "127.0.0.1:%d" (int $values.ports.grpc) -}}
{{- end -}}
{{- end -}}

{{- define "callgate.sidecar.refuse" -}}
{{- $values := include "callgate.sidecar.values" . | fromYaml -}}
{{- $secret := $values.existingSecret -}}
{{- range $key := list "storeUrlKey" "privacyKeysKey" -}}
{{- if and (index $secret $key) (not $secret.name) -}}
{{- fail (printf "callgate-sidecar: existingSecret.%s names a key of no Secret: set callgate-sidecar.existingSecret.name" $key) -}}
{{- end -}}
{{- end -}}
{{- if and $secret.storeUrlKey $values.store.url -}}
{{- fail "callgate-sidecar: the store's URL is said twice: set callgate-sidecar.store.url or callgate-sidecar.existingSecret.storeUrlKey, not both" -}}
{{- end -}}
{{- if not (or $values.store.url $secret.storeUrlKey) -}}
{{- fail "callgate-sidecar: no store: set callgate-sidecar.store.url to the Redis URL of the gate that takes in webhooks, or callgate-sidecar.existingSecret for one with a password" -}}
{{- end -}}
{{- if hasPrefix "embedded:" $values.store.url -}}
{{- fail "callgate-sidecar: an embedded store beside each bot would know nothing of Meta's webhooks nor of other bots: set callgate-sidecar.store.url to a Redis URL" -}}
{{- end -}}
{{- if regexMatch "://[^/?]*:[^/?@]*@|[?&](sentinel_)?pass=" $values.store.url -}}
{{- fail "callgate-sidecar: store.url holds a password, which everybody who may read pods would see: put the URL into a Secret, and set callgate-sidecar.existingSecret.name and callgate-sidecar.existingSecret.storeUrlKey" -}}
{{- end -}}
{{- end -}}
