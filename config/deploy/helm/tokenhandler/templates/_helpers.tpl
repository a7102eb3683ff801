{{- define "tokenhandler.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 57 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 57 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tokenhandler.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tokenhandler.labels" -}}
{{ include "tokenhandler.selector" . }}
{{- with .Values.image.tag }}
app.kubernetes.io/version: {{ . | trunc 63 | trimSuffix "-" | quote }}
{{- end }}
{{- end -}}

{{- define "tokenhandler.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tokenhandler.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tokenhandler.image" -}}
{{- $repository := required "image.repository: write the registry and name that you pushed the image to" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (required "image.tag: write the version of the image, or image.digest" .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* The configuration: what the chart knows, and over it what the operator wrote. */ -}}
{{- define "tokenhandler.config" -}}
{{- $_ := required "config.public_url: write the origin that browsers see" .Values.config.public_url -}}
{{- $provider := default dict .Values.config.provider -}}
{{- $_ := required "config.provider.issuer: write the issuer of the user pool" $provider.issuer -}}
{{- $_ := required "config.provider.client_id: write the id of the app client" $provider.client_id -}}
{{- $config := dict "listen" ":8080" "admin" (dict "listen" ":9090") "provider" dict "session" dict "auth" dict -}}
{{- range $file := list
  (list "provider" "client_secret_file" .Values.secret.clientSecret)
  (list "session" "keys_file" .Values.secret.sessionKeys)
  (list "admin" "token_file" .Values.secret.adminToken)
  (list "session" "store_file" .Values.secret.storeURL)
  (list "auth" "verify_secret_file" .Values.secret.verifySecret) -}}
{{- if index $file 2 -}}
{{- $_ := set (get $config (index $file 0)) (index $file 1) (printf "/run/secrets/tokenhandler/%s" (index $file 2)) -}}
{{- end -}}
{{- end -}}
{{- if not $config.auth -}}
{{- $_ := unset $config "auth" -}}
{{- end -}}
{{- mergeOverwrite $config (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{- define "tokenhandler.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}
