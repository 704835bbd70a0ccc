{{- define "fanfare.name" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- if contains $chart .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ $chart }}{{ end -}}
{{- end }}

{{- define "fanfare.selector" -}}
app.kubernetes.io/name: fanfare
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fanfare.labels" -}}
{{ include "fanfare.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "fanfare.serviceAccount" -}}
{{- default (include "fanfare.name" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "fanfare.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end }}

{{- /* What stays free of a volume, so that SQLite's log and migrations have room: max_mib is 90 % of the size. */ -}}
{{- define "fanfare.max_mib" -}}
{{- $size := .Values.store.sqlite.size -}}
{{- $number := regexFind "^[0-9]+" $size | int64 -}}
{{- $mib := $number -}}
{{- if hasSuffix "Gi" $size }}{{ $mib = mul $number 1024 }}{{ end -}}
{{- if hasSuffix "Ti" $size }}{{ $mib = mul $number 1048576 }}{{ end -}}
{{ div (mul $mib 9) 10 }}
{{- end }}

{{- /* fanfare.yaml: what the chart sets, and `config`. */ -}}
{{- define "fanfare.config" -}}
listen: 0.0.0.0:8080
admin:
  listen: {{ if .Values.admin.expose }}0.0.0.0{{ else }}127.0.0.1{{ end }}:8081
{{- if .Values.admin.token.secret }}
  token: "${env:FANFARE_ADMIN_TOKEN}"
{{- end }}
{{- with .Values.admin.url }}
  url: {{ . }}
{{- end }}
{{- if eq .Values.store.type "sqlite" }}
store: sqlite:/var/lib/fanfare/fanfare.db?max_mib={{ include "fanfare.max_mib" . }}
{{- else }}
store: {{ .Values.store.postgres.url | quote }}
{{- end }}
rules: /etc/fanfare/rules
templates: /etc/fanfare/templates
{{- with .Values.config }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "fanfare.env" -}}
- name: FANFARE_CONFIG
  value: /etc/fanfare/config/fanfare.yaml
{{- with .Values.admin.token }}
{{- if .secret }}
- name: FANFARE_ADMIN_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- range .Values.secrets.env }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
{{- end }}

{{- define "fanfare.container" -}}
name: fanfare
image: {{ include "fanfare.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if .Values.sidecarOf }}
restartPolicy: Always
{{- end }}
args: [serve, --log, {{ .Values.logLevel | quote }}{{ if .Values.shadow }}, --shadow{{ end }}]
env:
  {{- include "fanfare.env" . | nindent 2 }}
ports:
  - {name: webhooks, containerPort: 8080}
  - {name: admin, containerPort: 8081}
{{- /* With the admin address on loopback, the kubelet can't reach it: then the program asks itself. */}}
{{- $ready := `exec: {command: [/usr/bin/fanfare, health]}` }}
{{- $alive := `tcpSocket: {port: webhooks}` }}
{{- if .Values.admin.expose }}
{{- $ready = `httpGet: {path: /readyz, port: admin}` }}
{{- $alive = `httpGet: {path: /healthz, port: admin}` }}
{{- end }}
startupProbe:
  {{ $ready }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 150
readinessProbe:
  {{ $ready }}
  periodSeconds: 10
  timeoutSeconds: 8
livenessProbe:
  {{ $alive }}
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/fanfare/config, readOnly: true}
  - {name: rules, mountPath: /etc/fanfare/rules, readOnly: true}
  - {name: templates, mountPath: /etc/fanfare/templates, readOnly: true}
{{- if .Values.secrets.files }}
  - {name: secrets, mountPath: /etc/fanfare/secrets, readOnly: true}
{{- end }}
{{- if eq .Values.store.type "sqlite" }}
  - {name: store, mountPath: /var/lib/fanfare}
{{- end }}
{{- end }}
