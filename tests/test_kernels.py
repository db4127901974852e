"""The sources of the GPU kernels: one list of them, whoever compiles it."""

import ctypes
import importlib.util
import re
from pathlib import Path

import pytest

from consilience.backends.cuda import _cupy, _native
from consilience.backends.cuda._device import Buffer, words

CUDA = Path(__file__).resolve().parents[1] / "csrc" / "cuda"
SOURCES = sorted(CUDA.glob("*.cuh"))
KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\('
)


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def defined():
    return [name for path in SOURCES for name in KERNEL.findall(without_comments(path.read_text()))]


def listed():
    text = (CUDA / "kernels.cuh").read_text()
    (body,) = re.findall(r"#define CONSILIENCE_KERNELS\(X\)((?:.*\\\n)*.*)", text)
    return re.findall(r"\bX\((\w+)\)", body)


def nvrtc():
    """The compiler that CuPy uses, wherever a package has brought it."""
    found = importlib.util.find_spec("nvidia")
    places = [] if found is None else list(found.submodule_search_locations or [])
    for place in places:
        for path in sorted(Path(place).glob("c*/lib/libnvrtc.so.*")):
            for part in path.parent.glob("libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(part))  # the compiler asks for it by its bare name
            return ctypes.CDLL(str(path))
    pytest.skip("NVRTC is not installed (pip install nvidia-cuda-nvrtc)")


def compile_with(library, source, options):
    """The compiler's log, empty if it has nothing to say; raises if it refuses."""
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    status = library.nvrtcCompileProgram(program, len(options), given)
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    if status:
        raise AssertionError(log.value.decode())
    return log.value.decode()


def test_every_kernel_is_listed_once():
    assert len(defined()) >= 2
    assert sorted(listed()) == sorted(set(defined()))
    text = "".join(without_comments(path.read_text()) for path in SOURCES)
    assert text.count("__global__") == len(defined()), 'a kernel is not extern "C"'


@pytest.mark.parametrize("extension", ["_cuda", "_emulated"])
def test_extensions_have_the_kernels_of_the_list(extension):
    module = pytest.importorskip(f"consilience.{extension}", reason=f"built without {extension}")
    assert sorted(module.kernels()) == sorted(listed())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_kernels_include_only_kernels(path):
    included = re.findall(r"#\s*include\s*([<\"][^>\"]+[>\"])", path.read_text())
    ours = {f'"{other.name}"' for other in SOURCES}
    outside = set(included) - ours - ({'"emulated/ptx.hpp"'} if path.name == "ptx.cuh" else set())
    assert outside == set()


def test_all_sources_are_included():
    text = _cupy.source()
    for path in SOURCES:
        first = next(line for line in path.read_text().splitlines() if line.startswith("//"))
        assert text.count(first) >= 1, path.name
    assert _cupy.INCLUDE.search(text) is None
    for name in listed():
        assert len(re.findall(rf"\b{name}\s*\(", without_comments(text))) >= 1


@pytest.mark.parametrize("architecture", ["80", "90", "90a", "100"])
def test_kernels_compile_at_run_time(architecture):
    options = (*_cupy.OPTIONS, f"-arch=sm_{architecture}", "--device-as-default-execution-space")
    assert compile_with(nvrtc(), _cupy.source(), options) == ""


@pytest.mark.parametrize("order", [("90a", "90"), ("90", "90a")])
def test_the_architecture_with_more_instructions_is_taken(order):
    # CuPy adds the plain one to the options of _cupy.
    options = [f"-arch=sm_{architecture}" for architecture in order]
    source = "#ifndef __CUDA_ARCH_FEAT_SM90_ALL\n#error plain\n#endif\n"
    assert compile_with(nvrtc(), source, options) == ""


def test_the_compiler_at_run_time_can_refuse():
    with pytest.raises(AssertionError, match="nowhere"):
        compile_with(nvrtc(), "__global__ void f() { nowhere(); }", ("-arch=sm_90",))


def test_installed_sources_are_those_of_the_tree():
    folder = _cupy.source_folder()
    assert sorted(path.name for path in folder.glob("*.cuh")) == [path.name for path in SOURCES]
    for path in SOURCES:
        assert (folder / path.name).read_text() == path.read_text(), f"{path.name} is out of date"


def test_arguments_are_words_of_64_bits():
    buffer = Buffer(0x7F0000001000, (2,), None, None)
    assert words([buffer, None, 3, -1, True, 1.0]) == [
        *(0x7F0000001000, 0, 3, 2**64 - 1, 1),
        0x3FF0000000000000,
    ]


@pytest.mark.parametrize("loader", [_native, _cupy])
def test_a_loader_says_in_a_sentence_why_it_cannot_run(loader):
    reason = loader.missing()
    assert reason is None or (reason and "\n" not in reason)
    device = loader.NativeDevice if loader is _native else loader.CupyDevice
    if reason is not None:
        with pytest.raises(RuntimeError, match="cannot run") as raised:
            device()
        assert reason in str(raised.value)
