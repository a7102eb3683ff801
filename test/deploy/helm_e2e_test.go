//go:build e2e

package deploy_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"cognito-token-handler/config"
	"cognito-token-handler/test/devstack/process"
)

// everything turns on whatever the chart can do.
const everything = `
config:
  public_url: https://app.example.com
  h2c: true
  provider:
    issuer: https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI
    client_id: 1example23456789
    max_requests_per_second: 50
  api:
    routes:
      - {path: /api/, upstream: "https://api.internal.example.com", timeout: 2m, max_body: 20MiB, websocket: true, scopes: [orders/read]}
  storage: {bucket: my-app-user-files, region: us-east-1, quota: {objects: "1000000"}}
  shutdown: {delay: 8s}
secret: {name: the-secrets, adminToken: admin_token, storeURL: store_url, verifySecret: verify_secret}
image: {repository: registry.example.com/tokenhandler, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
imagePullSecrets: [{name: pull}]
replicaCount: 3
podAnnotations: {a: b}
podLabels: {c: d}
extraEnv: [{name: AWS_REGION, value: us-east-1}]
extraVolumes: [{name: app, emptyDir: {}}]
extraVolumeMounts: [{name: app, mountPath: /srv/app}]
nodeSelector: {kubernetes.io/arch: arm64}
tolerations: [{key: a, operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: high
serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::123456789012:role/r"}}
service: {type: NodePort, annotations: {a: b}, appProtocol: kubernetes.io/h2c}
ingress: {enabled: true, className: nginx, annotations: {a: b}, tlsSecret: app-tls}
networkPolicy: {from: [{podSelector: {}}], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
`

// serviceMonitor is what the chart may set of the Prometheus operator's type. The module
// of that type requires much of Kubernetes' own code.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// manifests are the objects that the chart renders.
type manifests struct {
	deployment appsv1.Deployment
	config     corev1.ConfigMap
	account    corev1.ServiceAccount
	services   []corev1.Service
	policy     networkingv1.NetworkPolicy
	budget     policyv1.PodDisruptionBudget
	ingresses  []networkingv1.Ingress
	monitors   []serviceMonitor
}

// decode decodes rendered objects as the API server does with strict validation: a field
// that it does not know, or that is there twice, is an error.
func decode(t *testing.T, rendered string) manifests {
	t.Helper()
	var m manifests
	for document := range strings.SplitSeq(rendered, "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		strict := func(object any) {
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Errorf("%s: %v\n%s", kind.Kind, err, document)
			}
		}
		switch kind.APIVersion + " " + kind.Kind {
		case "apps/v1 Deployment":
			strict(&m.deployment)
		case "v1 ConfigMap":
			strict(&m.config)
		case "v1 ServiceAccount":
			strict(&m.account)
		case "v1 Service":
			m.services = append(m.services, corev1.Service{})
			strict(&m.services[len(m.services)-1])
		case "networking.k8s.io/v1 NetworkPolicy":
			strict(&m.policy)
		case "policy/v1 PodDisruptionBudget":
			strict(&m.budget)
		case "networking.k8s.io/v1 Ingress":
			m.ingresses = append(m.ingresses, networkingv1.Ingress{})
			strict(&m.ingresses[len(m.ingresses)-1])
		case "monitoring.coreos.com/v1 ServiceMonitor":
			m.monitors = append(m.monitors, serviceMonitor{})
			strict(&m.monitors[len(m.monitors)-1])
		default:
			t.Errorf("the chart renders %q", kind)
		}
	}
	return m
}

// helm runs helm with an empty home directory.
func helm(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := process.Tool("helm")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	return cmd
}

func chart(t *testing.T) string {
	t.Helper()
	return deployDir(t, "helm/tokenhandler")
}

func deployDir(t *testing.T, name string) string {
	t.Helper()
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(repo, "config/deploy", name)
}

// valuesFile writes values to a file.
func valuesFile(t *testing.T, values string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// plainValues are the values of the plain YAML variant.
func plainValues(t *testing.T) string {
	t.Helper()
	return deployDir(t, "kubernetes/values.yaml")
}

func TestHelmLintsTheChart(t *testing.T) {
	for name, values := range map[string]string{"everything": valuesFile(t, everything), "plain": plainValues(t)} {
		out := succeed(t, helm(t, "lint", "--strict", chart(t), "--values", values))
		if strings.Contains(out, "[WARNING]") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

func TestTheChartRendersWhatKubernetesAccepts(t *testing.T) {
	for name, values := range map[string]string{"everything": valuesFile(t, everything), "plain": plainValues(t)} {
		t.Run(name, func(t *testing.T) {
			m := decode(t, succeed(t, helm(t, "template", "shop", chart(t), "--values", values)))
			m.checkPods(t)
			m.checkServices(t)
			m.checkConfiguration(t)
			if full := name == "everything"; full != (len(m.monitors) == 1) || full != (len(m.ingresses) == 1) {
				t.Errorf("%d monitors, %d ingresses", len(m.monitors), len(m.ingresses))
			}
		})
	}
}

// checkPods checks what protects the pods and what keeps them in service.
func (m manifests) checkPods(t *testing.T) {
	t.Helper()
	pod := m.deployment.Spec.Template.Spec
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("pods get variables of services, or a token of the cluster")
	}
	if len(pod.Containers) != 1 || *pod.TerminationGracePeriodSeconds < 28 {
		t.Fatalf("%d containers, grace period %d", len(pod.Containers), *pod.TerminationGracePeriodSeconds)
	}
	c := pod.Containers[0]
	if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Contains(s.Capabilities.Drop, "ALL") ||
		!*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the restricted Pod Security Standard is not met: %+v %+v", s, pod.SecurityContext)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" ||
		c.LivenessProbe.HTTPGet.Port.StrVal != "admin" || c.ReadinessProbe.HTTPGet.Port.StrVal != "admin" {
		t.Errorf("probes: %v %v", c.LivenessProbe, c.ReadinessProbe)
	}
	template := labels.Set(m.deployment.Spec.Template.Labels)
	for _, selector := range []*metav1.LabelSelector{m.deployment.Spec.Selector, m.budget.Spec.Selector, &m.policy.Spec.PodSelector} {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(template) {
			t.Errorf("%v does not select the pods (%v)", selector, err)
		}
	}
	if pod.ServiceAccountName != m.account.Name {
		t.Errorf("the pods' account is %q, not %q", pod.ServiceAccountName, m.account.Name)
	}
	if ports := len(m.policy.Spec.Ingress); ports != 2 || len(m.policy.Spec.Ingress[1].From) == 0 {
		t.Errorf("the network policy does not limit who reaches the admin port: %+v", m.policy.Spec.Ingress)
	}
}

// checkServices: each Service leads to a port of the pods, and the monitor to the admin's.
func (m manifests) checkServices(t *testing.T) {
	t.Helper()
	ports := map[string]int32{}
	for _, port := range m.deployment.Spec.Template.Spec.Containers[0].Ports {
		ports[port.Name] = port.ContainerPort
	}
	if len(m.services) != 2 || ports["http"] != 8080 || ports["admin"] != 9090 {
		t.Errorf("%d services, ports %v", len(m.services), ports)
	}
	for _, service := range m.services {
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(m.deployment.Spec.Template.Labels)) {
			t.Errorf("%s does not select the pods", service.Name)
		}
		if len(service.Spec.Ports) != 1 || ports[service.Spec.Ports[0].TargetPort.StrVal] == 0 {
			t.Errorf("%s: %+v", service.Name, service.Spec.Ports)
		}
		for _, monitor := range m.monitors {
			s, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
			if isAdmin := service.Spec.Ports[0].Name == "admin"; err != nil || s.Matches(labels.Set(service.Labels)) != isAdmin {
				t.Errorf("the monitor selects %s wrongly (%v)", service.Name, err)
			}
		}
	}
}

// checkConfiguration: the service accepts the configuration that the chart writes, with
// the files that it mounts.
func (m manifests) checkConfiguration(t *testing.T) {
	t.Helper()
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789ABCDEF"))
	readFile := func(name string) ([]byte, error) {
		switch filepath.Base(name) {
		case "session_keys":
			return []byte(key), nil
		case "store_url":
			return []byte("rediss://cache.example.com:6379"), nil
		}
		return []byte("a-secret-of-sixteen-characters-" + filepath.Base(name)), nil
	}
	cfg, err := config.Load([]byte(m.config.Data["tokenhandler.yaml"]), "tokenhandler.yaml", nil, config.Machine{ReadFile: readFile, Container: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, m.config.Data["tokenhandler.yaml"])
	}
	if cfg.Listen != ":8080" || cfg.Admin.Listen != ":9090" || len(cfg.Session.Keys) != 1 || len(cfg.Provider.ClientSecret) != 1 {
		t.Errorf("listen %s, admin %s", cfg.Listen, cfg.Admin.Listen)
	}
}

// TestTheChartRefusesMistakes: with the words of the schema or of the chart, before
// anything reaches the cluster.
func TestTheChartRefusesMistakes(t *testing.T) {
	for set, want := range map[string]string{
		"config.provider.client_secret=s":       "client_secret",
		"config.session.keys=k":                 "keys",
		"config.provider.clientid=x":            "clientid",
		"config.session.idle_timeout=1 hour":    "idle_timeout",
		"config.spa.dir=true":                   "dir",
		"config.api.routes[1].path=/b/":         "upstream",
		"config.provider.issuer=":               "config.provider.issuer: write",
		"config.public_url=":                    "config.public_url: write",
		"image.tag=":                            "image.tag: write",
		"image.repository=":                     "image.repository: write",
		"image.digest=latest":                   "digest",
		"replicas=3":                            "replicas",
		"replicaCount=three":                    "replicaCount",
		"config.storage.max_size=10485760":      "max_size",
		"config.storage.quota.objects=10000000": "objects",
	} {
		cmd := helm(t, "template", chart(t), "--values", plainValues(t), "--set", set)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("--set %s: %v, want %q in\n%.1000s", set, err, want, out)
		}
	}
}

// TestThePlainVariantIsUpToDate: config/deploy/kubernetes is what the chart renders.
func TestThePlainVariantIsUpToDate(t *testing.T) {
	rendered := succeed(t, helm(t, "template", "tokenhandler", chart(t), "--values", plainValues(t)))
	content, err := os.ReadFile(deployDir(t, "kubernetes/tokenhandler.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, kept, _ := strings.Cut(string(content), "\n---\n")
	if "---\n"+kept != rendered {
		t.Error("config/deploy/kubernetes/tokenhandler.yaml differs from the chart: run make kubernetes")
	}
}
