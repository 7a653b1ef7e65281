{{/* What a pod's labels say of its sidecar, where the namespace does not. */}}
{{- define "sample.injection" -}}
{{- if .Values.revision }}
istio.io/rev: {{ .Values.revision | quote }}
{{- else if .Values.inject }}
sidecar.istio.io/inject: "true"
{{- end }}
{{- end }}

{{/* A client: something to call others from. Takes the release's context, a name and an image. */}}
{{- define "sample.client" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    app: {{ .name }}
    service: {{ .name }}
spec:
  ports:
    - name: http
      port: 80
      targetPort: 80
  selector:
    app: {{ .name }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    app: {{ .name }}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {{ .name }}
  template:
    metadata:
      labels:
        app: {{ .name }}
        {{- with include "sample.injection" .root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      terminationGracePeriodSeconds: 0
      containers:
        - name: {{ .name }}
          image: {{ .image | quote }}
          imagePullPolicy: IfNotPresent
          command: ["/bin/sleep", "infinity"]
{{- end }}
