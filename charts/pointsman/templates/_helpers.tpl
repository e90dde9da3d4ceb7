{{- define "pointsman.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "pointsman.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "pointsman.fullname" .) }}
{{- end }}

{{/* What finds the operator's pods, and never changes in a release's life. */}}
{{- define "pointsman.selector" -}}
app.kubernetes.io/name: pointsman
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pointsman.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "pointsman.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* An image's name: of (list . image). */}}
{{- define "pointsman.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The Secret that the certificate is read from, where the operator does not make its own. */}}
{{- define "pointsman.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled }}{{ include "pointsman.fullname" . }}-tls{{ else }}{{ .Values.tls.secretName }}{{ end }}
{{- end }}

{{- define "pointsman.webhooks" -}}
{{- if or .Values.injection.enabled .Values.validation.enabled }}true{{ end }}
{{- end }}

{{/* Fail with a sentence where the cluster lacks a kind that a value asks for: of (dict root, kind, value, install). */}}
{{- define "pointsman.requires" -}}
{{- if not (.root.Capabilities.APIVersions.Has .kind) }}
{{- fail (printf "\n\n%s needs %s, which this cluster does not know: %s (or, where you render without a cluster, add --api-versions %s)" .value .kind .install .kind) }}
{{- end }}
{{- end }}

{{- /* The URL of the ledger's Redis, if there is one; what contradicts it is refused. */}}
{{- define "pointsman.redis" -}}
{{- $redis := .Values.ledger.redis }}
{{- if $redis.url }}
{{- if not (regexMatch "^rediss?://([^:@/?#]+@)?([^:@/?#]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?(/[0-9]{0,4})?$" $redis.url) }}
{{- fail "\n\nledger.redis.url is not redis://HOST:PORT or, with TLS, rediss://HOST:PORT; a password belongs into the Secret ledger.redis.passwordSecretName" }}
{{- end }}
{{- if and $redis.tlsSecretName (not (hasPrefix "rediss://" $redis.url)) }}
{{- fail "\n\nledger.redis.tlsSecretName has no use with redis://, which is plain text: write rediss://, or leave it out" }}
{{- end }}
{{- if and (contains "@" $redis.url) (not $redis.passwordSecretName) }}
{{- fail "\n\nledger.redis.url names a user: give the password too, in the Secret ledger.redis.passwordSecretName" }}
{{- end }}
{{- else if or $redis.passwordSecretName $redis.tlsSecretName $redis.trustDurability $redis.awaitImport }}
{{- fail "\n\nledger.redis.url is empty, without which nothing else of ledger.redis does anything: set it, or leave the rest out" }}
{{- end }}
{{- $redis.url }}
{{- end }}

{{- /* Its port. */}}
{{- define "pointsman.redisPort" -}}
{{- regexFind ":[0-9]+$" (get (urlParse .Values.ledger.redis.url) "host") | trimPrefix ":" | default "6379" }}
{{- end }}
