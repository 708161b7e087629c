{{/*
A map as TOML. Helm's own toToml writes whole numbers as floats, which the gate does not take for a
count; JSON's texts, numbers and lists of texts are TOML's as well.
*/}}
{{- define "callgate.toml" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "callgate.toml.key" $key }} = {{ toRawJson $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- $name := compact (list $path (include "callgate.toml.key" $key)) | join "." -}}
{{- $own := empty $value -}}
{{- range $value -}}{{- if not (or (kindIs "map" .) (kindIs "invalid" .)) -}}{{- $own = true -}}{{- end -}}{{- end -}}
{{- if $own }}

[{{ $name }}]
{{- end -}}
{{- include "callgate.toml" (dict "path" $name "table" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "callgate.toml.key" -}}
{{- if regexMatch "^[A-Za-z_][A-Za-z0-9_-]*$" . -}}{{ . }}{{- else -}}{{ toRawJson . }}{{- end -}}
{{- end -}}

{{/* The whole file: what the values say, and on top of it what the chart sets. */}}
{{- define "callgate.configuration" -}}
{{- $port := .Values.ports -}}
{{- $set := dict
  "grpc_addr" (printf "0.0.0.0:%d" (int $port.grpc))
  "http_addr" (ternary (printf "0.0.0.0:%d" (int $port.http)) "off" .Values.webhook.enabled)
  "admin_addr" (printf "0.0.0.0:%d" (int $port.admin))
  "drain" (dict
    "delay" (printf "%ds" (int .Values.drain.delaySeconds))
    "timeout" (printf "%ds" (int .Values.drain.timeoutSeconds))) -}}
{{- $open := list -}}
{{- range .Values.allowInsecure -}}
{{- if or (ne . "http") $.Values.webhook.enabled -}}{{- $open = append $open . -}}{{- end -}}
{{- end -}}
{{- with $open -}}{{- $_ := set $set "allow_insecure" (join "," .) -}}{{- end -}}
{{- with .Values.existingSecret.storeUrlKey -}}
{{- $_ := set $set "store_file" (printf "/etc/callgate/secrets/%s" .) -}}
{{- else -}}
{{- $_ := set $set "store" .Values.store.url -}}
{{- end -}}
{{- with .Values.existingSecret.privacyKeysKey -}}
{{- $_ := set $set "privacy" (dict "key_file" (printf "/etc/callgate/secrets/%s" .)) -}}
{{- end -}}
{{- if and .Values.webhook.enabled .Values.existingSecret.name -}}
{{- $meta := dict -}}
{{- with .Values.existingSecret.appSecretKey -}}
{{- $_ := set $meta "app_secret_file" (printf "/etc/callgate/secrets/%s" .) -}}
{{- end -}}
{{- with .Values.existingSecret.verifyTokenKey -}}
{{- $_ := set $meta "verify_token_file" (printf "/etc/callgate/secrets/%s" .) -}}
{{- end -}}
{{- with $meta -}}{{- $_ := set $set "meta" . -}}{{- end -}}
{{- end -}}
{{- range $door, $tls := .Values.tls -}}
{{- if $tls.existingSecret -}}
{{- $folder := printf "/etc/callgate/tls/%s" $door -}}
{{- $files := dict
  "cert_file" (printf "%s/%s" $folder $tls.certKey)
  "key_file" (printf "%s/%s" $folder $tls.keyKey) -}}
{{- with $tls.clientCaKey -}}{{- $_ := set $files "client_ca_file" (printf "%s/%s" $folder .) -}}{{- end -}}
{{- $_ := set $set (printf "%s_tls" $door) $files -}}
{{- end -}}
{{- end -}}
{{- include "callgate.toml" (dict "path" "" "table" (mergeOverwrite (deepCopy .Values.config) $set)) | trim -}}
{{- end -}}
