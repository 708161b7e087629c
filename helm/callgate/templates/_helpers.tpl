{{/* At most 57 characters, so that the label of the test pod has 63. */}}
{{- define "callgate.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 57 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 54 characters, so that the longest name made of it has 63. */}}
{{- define "callgate.fullname" -}}
{{- $name := include "callgate.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{- define "callgate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "callgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "callgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "callgate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "callgate.serviceAccountName" -}}
{{- $default := ternary (include "callgate.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default -}}
{{- end -}}

{{- define "callgate.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{- define "callgate.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop:
    - ALL
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "callgate.podSecurity" -}}
runAsNonRoot: true
{{- range $key := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- with index $.Values.podSecurity $key }}
{{ $key }}: {{ int64 . }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The store's URL as it stands in the values; empty where it comes from a Secret. */}}
{{- define "callgate.storeUrl" -}}
{{- if not .Values.existingSecret.storeUrlKey -}}{{ .Values.store.url }}{{- end -}}
{{- end -}}

{{/* Not empty where the store is of one process. */}}
{{- define "callgate.storeIsOfOne" -}}
{{- if regexMatch "^(embedded|memory):" (include "callgate.storeUrl" .) -}}yes{{- end -}}
{{- end -}}

{{/* The keys of the Secret that are mounted, as the items of a volume. */}}
{{- define "callgate.secretItems" -}}
{{- with .Values.existingSecret -}}
{{- $keys := list .storeUrlKey .privacyKeysKey -}}
{{- if $.Values.webhook.enabled -}}{{- $keys = concat (list .appSecretKey .verifyTokenKey) $keys -}}{{- end -}}
{{- range $key := $keys | compact | uniq }}
- key: {{ $key | quote }}
  path: {{ $key | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty where gRPC asks who somebody is. */}}
{{- define "callgate.grpcIsGuarded" -}}
{{- if not (has "grpc" .Values.allowInsecure) -}}yes{{- end -}}
{{- end -}}

{{/* Not empty where `helm test` can say who it is. */}}
{{- define "callgate.canTest" -}}
{{- if .Values.helmTest.enabled -}}
{{- $guarded := include "callgate.grpcIsGuarded" . -}}
{{- if or (not $guarded) .Values.helmTest.tokenSecret.name .Values.helmTest.certificateSecret -}}yes{{- end -}}
{{- end -}}
{{- end -}}
