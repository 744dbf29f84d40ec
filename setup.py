"""Package metadata of the pneumonia pipeline; tool settings live in pyproject.toml."""

from setuptools import find_packages, setup

# Light on purpose: neither the client nor `pneumonia --help` may need TensorFlow.
CLIENT = [
    "google-crc32c>=1.7",
    "grpcio>=1.71",
    "numpy>=1.26",
    "pillow>=11",
    "protobuf>=6.31,<7",
    "pydicom>=3.0",
    "pylibjpeg>=2.0",
    "pylibjpeg-openjpeg>=2.4",
    "python-gdcm>=3.0.24",
    "rich>=13.9",
    "simplejpeg>=1.9",
    "tqdm>=4.67",
]

PIPELINE = [
    "aiohttp>=3.11",
    "apache-beam>=2.77,<2.78",
    "grpcio-health-checking>=1.71,<1.82",
    "grpcio-reflection>=1.71,<1.82",
    "h5py>=3.11",
    "jinja2>=3.1",
    "keras>=3.10",
    "keras-tuner>=1.4.7",
    "matplotlib>=3.9",
    "onnx>=1.18",
    "prometheus-client>=0.21",
    "pydantic>=2.10",
    "pyyaml>=6.0",
    "scikit-learn>=1.5",
    "scipy>=1.14",
    "tensorflow>=2.21,<2.22",
    "tensorflow-model-analysis",
    "tensorflow-serving-api",
    "tensorflow-transform",
    "tfx==1.21.0",
]

WEB = ["flask>=3.1", "waitress>=3.0"]

PACS = [
    *WEB,
    "contourpy>=1.3",
    "dicomweb-client>=0.60",
    "highdicom>=0.27",
    "prometheus-client>=0.21",
    "pynetdicom>=3.0",
    "requests>=2.32",
]

# int8: openvino computes, nncf makes the form.
FAST = ["nncf>=3.4", "openvino>=2026.2"]

KUBEFLOW = ["kfp>=2.16", "kfp-server-api>=2.4"]

TRACKING = ["mlflow-skinny>=3.5", "tensorboard>=2.20"]

TEST = [
    *TRACKING,
    "axe-playwright-python>=0.1.4",
    "cryptography>=44",
    "grafana-foundation-sdk>=1769699998!10.1",
    "hypothesis>=6.130",
    "ipykernel>=6.29",
    "jsonschema>=4.23",
    "kfp-kubernetes>=2.16,<2.17",
    "kubernetes-validate>=1.30",
    "mypy>=1.15",
    "nbclient>=0.10",
    "openapi-spec-validator>=0.7",
    "playwright>=1.50",
    "psutil>=6",
    "pytest>=8.3",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "ruff>=0.11",
    "types-protobuf",
    "types-PyYAML",
    "types-tqdm",
]

setup(
    name="pneumonia",
    version="0.1.0",
    description="Detects pneumonia in chest X-rays: from image files to a served VGG-16, with TFX",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(
        include=["client*", "components*", "kubeflow*", "pipeline*", "serving*"]
    ),
    py_modules=["cli"],
    package_data={
        "client.pacs": ["deploy/*", "templates/*"],
        "components.image": ["frontal.npz", "lung_network.npz"],
        "components.monitoring": ["templates/*"],
        "components.reporter": ["templates/*"],
        "client.web": ["openapi.json", "static/**/*", "templates/*"],
        "pipeline": ["schema.pbtxt"],
        "pipeline.datasets": ["check.html"],
        "pipeline.runs": ["runs.html"],
    },
    install_requires=CLIENT,
    extras_require={
        "client": [],
        "pipeline": PIPELINE,
        "web": WEB,
        "pacs": PACS,
        "fast": FAST,
        "kubeflow": KUBEFLOW,
        "tracking": TRACKING,
        "test": TEST,
    },
    entry_points={
        "console_scripts": [
            "pneumonia = cli:main",
            "pneumonia-beam-worker = pipeline.beam.worker:main",
        ]
    },
)
