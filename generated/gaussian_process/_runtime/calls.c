/* Copied unchanged from symdiff/runtime/calls.c; the same in every generated package. Do not edit. */
/* Calls of compiled kernels from Python, without a wrapper in between: arguments to C numbers and pointers, results to
 * Python floats, arrays and the named tuple of the gradient. One text for all formulas, compiled where Python.h is:
 * once for all kernels of a user, and into the library of every generated package. calls.py makes the objects.
 *
 * Call   the ordinary call for arguments of certain shapes. Whatever is not exactly that (other types, dtypes, shapes,
 *        memory layouts, counts, keywords) gives NotImplemented, and Python sorts it out.
 * Batch  the ordinary call for vectors of one length, and numbers beside them; also with `out`.
 * Bound  a call of addresses that were bound once.
 * Entry  `__call__` of a class of kernels: tries the object's own Call, `_direct`, before the Python function.
 *
 * Nothing is kept between calls: numbers lie on the stack, or in memory of the calling thread, which is asked for when
 * nothing can run any more that asks for it too. So any thread may call, and a call may come up within another one.
 */
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

enum {
    SD_PY_STACK = 2048, /* numbers that a call keeps on the stack */
    SD_PY_ARRAYS = 32,  /* arguments and results, if any of them is an array */
    SD_PY_LINE = 64     /* bytes: workspaces start at a cache line */
};

/* The kernel functions: the numbers of a point in one vector, or every argument behind a pointer of its own. */
#define SD_PY_FORMS(real, letter)                                                                                      \
    typedef int (*sd_py_vector_##letter)(const real *, real *);                                                        \
    typedef void (*sd_py_gemm_##letter)(const char *, const char *, const int *, const int *, const int *,             \
        const real *, const real *, const int *, const real *, const int *, const real *, real *, const int *);        \
    typedef int (*sd_py_arrays_##letter)(                                                                              \
        const size_t *, const real *const *, real *const *, real *, sd_py_gemm_##letter)
SD_PY_FORMS(double, d);
SD_PY_FORMS(float, f);

#define SD_PY_BATCH(real, letter)                                                                                      \
    typedef int (*sd_py_batch_##letter)(                                                                               \
        size_t, const real *const *, const ptrdiff_t *, real *const *, const ptrdiff_t *)
SD_PY_BATCH(double, d);
SD_PY_BATCH(float, f);

typedef struct {
    uintptr_t function, gemm, sizes; /* addresses; of the last two 0 in vector form */
    int vector;                      /* the form of the function */
    int single;                      /* float32 */
    int release;                     /* let other threads run meanwhile */
} sd_py_kernel;

typedef union { /* the pointers to inputs or to outputs */
    const double *in_d[SD_PY_ARRAYS];
    const float *in_f[SD_PY_ARRAYS];
    double *out_d[SD_PY_ARRAYS];
    float *out_f[SD_PY_ARRAYS];
} sd_py_pointers;

/* In vector form `in` and `out` are the two vectors, else arrays of pointers. */
static int sd_py_compute(const sd_py_kernel *kernel, const void *in, const void *out, void *workspace)
{
    const size_t *sizes = (const size_t *)kernel->sizes;

    if (kernel->vector)
        return kernel->single ? ((sd_py_vector_f)kernel->function)(in, (float *)out)
                              : ((sd_py_vector_d)kernel->function)(in, (double *)out);
    return kernel->single
        ? ((sd_py_arrays_f)kernel->function)(
              sizes, (const float *const *)in, (float *const *)out, workspace, (sd_py_gemm_f)kernel->gemm)
        : ((sd_py_arrays_d)kernel->function)(
              sizes, (const double *const *)in, (double *const *)out, workspace, (sd_py_gemm_d)kernel->gemm);
}

static int sd_py_run(const sd_py_kernel *kernel, const void *in, const void *out, void *workspace)
{
    int status;

    if (!kernel->release)
        return sd_py_compute(kernel, in, out, workspace);
    Py_BEGIN_ALLOW_THREADS
    status = sd_py_compute(kernel, in, out, workspace);
    Py_END_ALLOW_THREADS
    return status;
}

static int sd_py_is_tuple(PyObject *given)
{
    if (PyTuple_Check(given))
        return 1;
    PyErr_SetString(PyExc_TypeError, "expected a tuple");
    return 0;
}

/* A converter of PyArg_ParseTuple: (function, gemm, sizes, vector, single, release). */
static int sd_py_read_kernel(PyObject *given, void *to)
{
    sd_py_kernel *kernel = to;
    unsigned long long function, gemm, sizes;

    if (!sd_py_is_tuple(given)
        || !PyArg_ParseTuple(given, "KKKppp", &function, &gemm, &sizes, &kernel->vector, &kernel->single,
            &kernel->release))
        return 0;
    kernel->function = (uintptr_t)function;
    kernel->gemm = (uintptr_t)gemm;
    kernel->sizes = (uintptr_t)sizes;
    return 1;
}

static int sd_py_no_names(PyObject *names)
{
    if (names == NULL || PyDict_GET_SIZE(names) == 0)
        return 1;
    PyErr_SetString(PyExc_TypeError, "no keywords are taken here");
    return 0;
}

typedef struct {
    PyObject *plain;                 /* types whose objects are numbers */
    PyObject *array, *dtype, *empty; /* numpy.ndarray, the only dtype, numpy.empty */
    PyObject *memory;                /* called for an array of numbers of this thread */
} sd_py_tools;

static PyObject *sd_py_dtype_name, *sd_py_direct_name;

/* A converter of PyArg_ParseTuple: (plain, array, dtype, empty, memory). */
static int sd_py_read_tools(PyObject *given, void *to)
{
    sd_py_tools *tools = to;

    if (!sd_py_is_tuple(given))
        return 0;
    return PyArg_ParseTuple(
        given, "OOOOO", &tools->plain, &tools->array, &tools->dtype, &tools->empty, &tools->memory);
}

static void sd_py_keep_tools(const sd_py_tools *tools)
{
    Py_INCREF(tools->plain);
    Py_INCREF(tools->array);
    Py_INCREF(tools->dtype);
    Py_INCREF(tools->empty);
    Py_INCREF(tools->memory);
}

static void sd_py_drop_tools(sd_py_tools *tools)
{
    Py_XDECREF(tools->plain);
    Py_XDECREF(tools->array);
    Py_XDECREF(tools->dtype);
    Py_XDECREF(tools->empty);
    Py_XDECREF(tools->memory);
}

/* Whether the argument is an array, of no class of its own, of the dtype. */
static int sd_py_is_ours(const sd_py_tools *tools, PyObject *given)
{
    PyObject *dtype;

    if ((PyObject *)Py_TYPE(given) != tools->array)
        return 0;
    dtype = PyObject_GetAttr(given, sd_py_dtype_name);
    Py_XDECREF(dtype); /* the array has it */
    if (dtype == NULL)
        PyErr_Clear();
    return dtype == tools->dtype;
}

/* 1 with a view more, of an array that C can walk, 0 if it cannot; no error is set. */
static int sd_py_view_array(
    const sd_py_tools *tools, PyObject *given, Py_ssize_t item, int flags, Py_buffer *views, int *viewed)
{
    Py_buffer *view = &views[*viewed];

    if (!sd_py_is_ours(tools, given))
        return 0;
    if (PyObject_GetBuffer(given, view, PyBUF_C_CONTIGUOUS | flags) < 0) {
        PyErr_Clear();
        return 0;
    }
    ++*viewed;
    return (uintptr_t)view->buf % (size_t)item == 0;
}

/* 1 if the argument is a number of no class of its own, 0 if not; no error is set. */
static int sd_py_read_number(const sd_py_tools *tools, PyObject *given, double *number)
{
    if (PyFloat_CheckExact(given)) {
        *number = PyFloat_AS_DOUBLE(given);
        return 1;
    }
    if (PySet_Contains(tools->plain, (PyObject *)Py_TYPE(given)) == 1) {
        *number = PyFloat_AsDouble(given);
        if (*number != -1.0 || !PyErr_Occurred())
            return 1;
    }
    PyErr_Clear();
    return 0;
}

/* The value, or (value, gradient) of a type of named tuples. */
static PyObject *sd_py_both(PyObject *value, PyObject *type, PyObject *partials)
{
    PyObject *gradient, *arguments, *both;

    if (type == Py_None) {
        Py_INCREF(value);
        return value;
    }
    arguments = PyTuple_Pack(1, partials);
    if (arguments == NULL)
        return NULL;
    gradient = PyTuple_Type.tp_new((PyTypeObject *)type, arguments, NULL);
    Py_DECREF(arguments);
    if (gradient == NULL)
        return NULL;
    both = PyTuple_Pack(2, value, gradient);
    Py_DECREF(gradient);
    return both;
}

static int sd_py_is_gradient(PyObject *type)
{
    return PyType_Check(type) && PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type);
}

static int sd_py_refuse(void)
{
    PyErr_SetString(PyExc_ValueError, "a call of so many arguments or results cannot be made");
    return -1;
}

/* ---- Call ---- */

typedef struct {
    PyObject *shape;   /* a tuple; empty for a number */
    Py_ssize_t *sizes; /* the same */
    Py_ssize_t axes, count; /* the count of numbers in vector form */
    Py_ssize_t place; /* among the numbers of a call, in elements; an array behind a pointer has none */
} sd_py_part;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    sd_py_kernel kernel;
    Py_ssize_t inputs, outputs, arrays, item;
    Py_ssize_t numbers; /* in all, workspace first */
    sd_py_part *parts;  /* inputs, then outputs */
    PyObject *gradient; /* the named tuple's type, None for a bare value */
    sd_py_tools tools;
    PyObject *kept; /* what the addresses need */
} sd_py_call;

typedef struct {
    Py_buffer views[SD_PY_ARRAYS + 1]; /* of the arrays among the arguments, then results; `memory` */
    int viewed;
    PyObject *value, *gradient; /* the results; those that are numbers come after the computation */
    char *numbers;
    char stack[SD_PY_STACK * sizeof(double) + SD_PY_LINE];
} sd_py_frame;

static int sd_py_view(sd_py_frame *frame, PyObject *object, int flags)
{
    if (PyObject_GetBuffer(object, &frame->views[frame->viewed], flags) < 0)
        return -1;
    ++frame->viewed;
    return 0;
}

/* 1 if the argument is an array of the shape, 0 if not; no error is set. */
static int sd_py_take_array(const sd_py_call *call, const sd_py_part *part, PyObject *given, sd_py_frame *frame)
{
    const Py_buffer *view = &frame->views[frame->viewed];

    return sd_py_view_array(&call->tools, given, call->item, 0, frame->views, &frame->viewed)
        && view->ndim == part->axes
        && memcmp(view->shape, part->sizes, (size_t)part->axes * sizeof *part->sizes) == 0;
}

/* 1 if the argument is an array without axes, whose number is then at `at`, 0 if not; no error is set. */
static int sd_py_take_without_axes(const sd_py_call *call, PyObject *given, char *at)
{
    Py_buffer view;
    int taken;

    if (!sd_py_is_ours(&call->tools, given))
        return 0;
    if (PyObject_GetBuffer(given, &view, PyBUF_C_CONTIGUOUS) < 0) {
        PyErr_Clear();
        return 0;
    }
    taken = view.ndim == 0 && view.len == call->item;
    if (taken)
        memcpy(at, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return taken;
}

/* 1 if the argument is a number, 0 if not; no error is set. */
static int sd_py_take_number(const sd_py_call *call, const sd_py_part *part, PyObject *given, sd_py_frame *frame)
{
    char *at = frame->numbers + part->place * call->item;
    double number;

    if (!sd_py_read_number(&call->tools, given, &number))
        return sd_py_take_without_axes(call, given, at);
    if (call->kernel.single)
        *(float *)at = (float)number;
    else
        *(double *)at = number;
    return 1;
}

static int sd_py_take_arrays(const sd_py_call *call, PyObject *const *given, sd_py_frame *frame)
{
    for (Py_ssize_t k = 0; k < call->inputs; ++k)
        if (call->parts[k].axes != 0 && !sd_py_take_array(call, &call->parts[k], given[k], frame))
            return 0;
    return 1;
}

/* Numbers, and in vector form the elements of arrays, to their places. */
static int sd_py_take_numbers(const sd_py_call *call, PyObject *const *given, sd_py_frame *frame)
{
    const Py_buffer *view = frame->views;

    for (Py_ssize_t k = 0; k < call->inputs; ++k) {
        const sd_py_part *part = &call->parts[k];
        if (part->axes == 0) {
            if (!sd_py_take_number(call, part, given[k], frame))
                return 0;
        } else {
            if (call->kernel.vector)
                memcpy(frame->numbers + part->place * call->item, view->buf, (size_t)(part->count * call->item));
            ++view;
        }
    }
    return 1;
}

static int sd_py_new_array(const sd_py_call *call, const sd_py_part *part, sd_py_frame *frame, PyObject **made)
{
    PyObject *const arguments[] = {part->shape, call->tools.dtype};

    *made = PyObject_Vectorcall(call->tools.empty, arguments, 2, NULL);
    return *made == NULL ? -1 : sd_py_view(frame, *made, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
}

/* Arrays for the results and room for all numbers: no Python code runs between taking the numbers and the results. */
static int sd_py_make_room(const sd_py_call *call, sd_py_frame *frame)
{
    const sd_py_part *part = call->parts + call->inputs;

    if (call->gradient != Py_None) {
        frame->gradient = PyTuple_New(call->outputs - 1);
        if (frame->gradient == NULL)
            return -1;
        if (call->outputs > 1) /* it has gaps, and whoever asks the collector for all objects would stumble over them */
            PyObject_GC_UnTrack(frame->gradient);
    }
    for (Py_ssize_t k = 0; k < call->outputs; ++k, ++part) {
        PyObject *made = NULL;
        int status = part->axes == 0 ? 0 : sd_py_new_array(call, part, frame, &made);
        if (k == 0)
            frame->value = made;
        else
            PyTuple_SET_ITEM(frame->gradient, k - 1, made);
        if (status < 0)
            return -1;
    }
    if (call->numbers <= SD_PY_STACK) {
        frame->numbers = frame->stack + -(uintptr_t)frame->stack % SD_PY_LINE;
    } else {
        PyObject *memory = PyObject_CallNoArgs(call->tools.memory);
        const Py_buffer *view = &frame->views[frame->viewed];
        int status = memory == NULL ? -1 : sd_py_view(frame, memory, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
        Py_XDECREF(memory); /* the view has it */
        if (status < 0)
            return -1;
        if (view->len < call->numbers * call->item) {
            PyErr_SetString(PyExc_SystemError, "the memory of a call is too small");
            return -1;
        }
        frame->numbers = view->buf;
    }
    return 0;
}

/* Pointers to inputs or outputs: arrays have theirs in `view`, numbers lie at their places. Returns the next view. */
static const Py_buffer *sd_py_point(
    const sd_py_call *call, int inputs, const Py_buffer *view, const sd_py_frame *frame, sd_py_pointers *to)
{
    const sd_py_part *part = inputs ? call->parts : call->parts + call->inputs;
    Py_ssize_t count = inputs ? call->inputs : call->outputs;

    for (Py_ssize_t k = 0; k < count; ++k, ++part) {
        void *at = part->axes != 0 ? (view++)->buf : (void *)(frame->numbers + part->place * call->item);
        if (inputs && call->kernel.single)
            to->in_f[k] = at;
        else if (inputs)
            to->in_d[k] = at;
        else if (call->kernel.single)
            to->out_f[k] = at;
        else
            to->out_d[k] = at;
    }
    return view;
}

static int sd_py_call_kernel(const sd_py_call *call, sd_py_frame *frame)
{
    const sd_py_part *result = call->parts + call->inputs;
    const Py_buffer *view = frame->views;
    int status;

    if (!call->kernel.vector) {
        sd_py_pointers in, out;
        view = sd_py_point(call, 1, view, frame, &in);
        sd_py_point(call, 0, view, frame, &out);
        return sd_py_run(&call->kernel, &in, &out, frame->numbers);
    }
    status = sd_py_run(&call->kernel, frame->numbers, frame->numbers + result->place * call->item, NULL);
    view += call->arrays;
    for (Py_ssize_t k = 0; k < call->outputs; ++k, ++result)
        if (result->axes != 0)
            memcpy((view++)->buf, frame->numbers + result->place * call->item, (size_t)(result->count * call->item));
    return status;
}

static PyObject *sd_py_number(const sd_py_call *call, const sd_py_part *part, const sd_py_frame *frame)
{
    const char *at = frame->numbers + part->place * call->item;

    return PyFloat_FromDouble(call->kernel.single ? (double)*(const float *)at : *(const double *)at);
}

/* The value, or (value, gradient). All numbers are read before anything is made that could start a collection. */
static PyObject *sd_py_results(const sd_py_call *call, sd_py_frame *frame)
{
    const sd_py_part *part = call->parts + call->inputs;

    for (Py_ssize_t k = 0; k < call->outputs; ++k, ++part) {
        PyObject *number;
        if (part->axes != 0)
            continue;
        number = sd_py_number(call, part, frame);
        if (number == NULL)
            return NULL;
        if (k == 0)
            frame->value = number;
        else
            PyTuple_SET_ITEM(frame->gradient, k - 1, number);
    }
    return sd_py_both(frame->value, call->gradient, frame->gradient);
}

static PyObject *sd_py_call_vectorcall(PyObject *self, PyObject *const *given, size_t flags, PyObject *names)
{
    const sd_py_call *call = (const sd_py_call *)self;
    PyObject *result = NULL;
    sd_py_frame frame;
    int taken = 0;

    if (names != NULL || PyVectorcall_NARGS(flags) != call->inputs)
        Py_RETURN_NOTIMPLEMENTED;
    frame.viewed = 0;
    frame.value = frame.gradient = NULL;
    if (sd_py_take_arrays(call, given, &frame)) {
        taken = 1;
        if (sd_py_make_room(call, &frame) == 0) {
            taken = sd_py_take_numbers(call, given, &frame) && sd_py_call_kernel(call, &frame) == 0;
            if (taken)
                result = sd_py_results(call, &frame);
        }
    }
    while (frame.viewed > 0)
        PyBuffer_Release(&frame.views[--frame.viewed]);
    Py_XDECREF(frame.value);
    Py_XDECREF(frame.gradient);
    if (!taken) /* also where the kernel failed: Python asks it again and says why */
        Py_RETURN_NOTIMPLEMENTED;
    return result;
}

/* The shape of one argument or result; where its numbers lie in a call is counted on. */
static int sd_py_read_part(sd_py_call *call, sd_py_part *part, PyObject *shape)
{
    if (!PyTuple_Check(shape)) {
        PyErr_SetString(PyExc_TypeError, "shapes are tuples");
        return -1;
    }
    Py_INCREF(shape);
    part->shape = shape;
    part->axes = PyTuple_GET_SIZE(shape);
    part->count = 1;
    part->sizes = PyMem_Calloc((size_t)part->axes + 1, sizeof *part->sizes);
    if (part->sizes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t axis = 0; axis < part->axes; ++axis) {
        part->sizes[axis] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, axis));
        if (part->sizes[axis] == -1 && PyErr_Occurred())
            return -1;
        if (call->kernel.vector)
            part->count *= part->sizes[axis];
    }
    part->place = call->numbers;
    if (part->axes == 0 || call->kernel.vector)
        call->numbers += part->count;
    return 0;
}

static int sd_py_read_parts(sd_py_call *call, PyObject *inputs, PyObject *outputs)
{
    Py_ssize_t every = PyTuple_GET_SIZE(inputs) + PyTuple_GET_SIZE(outputs), arrays = 0;

    call->parts = PyMem_Calloc((size_t)every + 1, sizeof *call->parts);
    if (call->parts == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    call->inputs = PyTuple_GET_SIZE(inputs);
    call->outputs = PyTuple_GET_SIZE(outputs);
    for (Py_ssize_t k = 0; k < every; ++k) {
        int is_input = k < call->inputs;
        PyObject *shape = is_input ? PyTuple_GET_ITEM(inputs, k) : PyTuple_GET_ITEM(outputs, k - call->inputs);
        if (sd_py_read_part(call, &call->parts[k], shape) < 0)
            return -1;
        arrays += call->parts[k].axes != 0;
        call->arrays += is_input && call->parts[k].axes != 0;
    }
    if (call->outputs < 1 || ((arrays > 0 || !call->kernel.vector) && every > SD_PY_ARRAYS)
        || (call->gradient == Py_None && call->outputs != 1)
        || (call->gradient != Py_None && !sd_py_is_gradient(call->gradient))) {
        return sd_py_refuse();
    }
    return 0;
}

static PyObject *sd_py_call_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    sd_py_kernel kernel;
    sd_py_tools tools;
    PyObject *inputs, *outputs, *gradient, *kept;
    Py_ssize_t workspace;
    sd_py_call *call;

    if (!sd_py_no_names(names)
        || !PyArg_ParseTuple(arguments, "O&O!O!nOO&O", sd_py_read_kernel, &kernel, &PyTuple_Type, &inputs,
            &PyTuple_Type, &outputs, &workspace, &gradient, sd_py_read_tools, &tools, &kept))
        return NULL;
    call = (sd_py_call *)type->tp_alloc(type, 0);
    if (call == NULL)
        return NULL;
    call->vectorcall = sd_py_call_vectorcall;
    call->kernel = kernel;
    call->item = kernel.single ? sizeof(float) : sizeof(double);
    call->numbers = workspace;
    sd_py_keep_tools(&tools);
    call->tools = tools;
    Py_INCREF(gradient);
    call->gradient = gradient;
    Py_INCREF(kept);
    call->kept = kept;
    if (sd_py_read_parts(call, inputs, outputs) < 0)
        Py_CLEAR(call);
    return (PyObject *)call;
}

static void sd_py_call_dealloc(PyObject *self)
{
    sd_py_call *call = (sd_py_call *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(call->gradient);
    sd_py_drop_tools(&call->tools);
    Py_XDECREF(call->kept);
    for (Py_ssize_t k = 0; call->parts != NULL && k < call->inputs + call->outputs; ++k) {
        Py_XDECREF(call->parts[k].shape);
        PyMem_Free(call->parts[k].sizes);
    }
    PyMem_Free(call->parts);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- Batch ---- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    uintptr_t function;
    int single;
    Py_ssize_t inputs, outputs, item;
    Py_ssize_t most;    /* points; Python sees to what has more */
    Py_ssize_t release; /* points from which on other threads run meanwhile */
    PyObject *out;      /* the keyword of the caller's arrays */
    PyObject *gradient; /* as of a Call */
    sd_py_tools tools;
    PyObject *kept;
} sd_py_batch;

typedef struct {
    Py_buffer views[SD_PY_ARRAYS];
    int viewed; /* those of arguments come first */
    Py_ssize_t points;
    union {
        double d;
        float f;
    } numbers[SD_PY_ARRAYS];
    sd_py_pointers in, out;
    ptrdiff_t in_step[SD_PY_ARRAYS], out_step[SD_PY_ARRAYS];
    PyObject *made[SD_PY_ARRAYS]; /* the results */
} sd_py_points;

/* 1 if argument k is a vector as long as those before it, or a number; 0 if not; no error is set. */
static int sd_py_batch_take(const sd_py_batch *batch, PyObject *given, Py_ssize_t k, sd_py_points *frame)
{
    const void *at = &frame->numbers[k];
    double number;

    frame->in_step[k] = 0;
    if (sd_py_read_number(&batch->tools, given, &number)) {
        if (batch->single)
            frame->numbers[k].f = (float)number;
        else
            frame->numbers[k].d = number;
    } else {
        const Py_buffer *view = &frame->views[frame->viewed];
        if (!sd_py_view_array(&batch->tools, given, batch->item, 0, frame->views, &frame->viewed) || view->ndim > 1)
            return 0;
        at = view->buf;
        if (view->ndim == 1) {
            if (frame->points < 0)
                frame->points = view->shape[0];
            if (view->shape[0] != frame->points)
                return 0;
            frame->in_step[k] = 1;
        }
    }
    if (batch->single)
        frame->in.in_f[k] = at;
    else
        frame->in.in_d[k] = at;
    return 1;
}

/* Whether the view of a result and one before it have memory in common. */
static int sd_py_is_apart(const sd_py_points *frame, const Py_buffer *result)
{
    const char *start = result->buf, *stop = start + result->len;

    for (const Py_buffer *other = frame->views; other < result; ++other)
        if ((const char *)other->buf < stop && start < (const char *)other->buf + other->len)
            return 0;
    return 1;
}

/* The caller's arrays, or new ones: 1, 0 if C cannot take the caller's, -1 with an error. */
static int sd_py_batch_results(const sd_py_batch *batch, PyObject *out, sd_py_points *frame)
{
    PyObject *shape = out == NULL ? Py_BuildValue("(n)", frame->points) : NULL;
    int status = out != NULL || shape != NULL ? 1 : -1;

    for (Py_ssize_t k = 0; k < batch->outputs && status == 1; ++k) {
        const Py_buffer *view = &frame->views[frame->viewed];

        if (out != NULL) {
            frame->made[k] = PyTuple_GET_ITEM(out, k);
            Py_INCREF(frame->made[k]);
        } else {
            PyObject *const arguments[] = {shape, batch->tools.dtype};
            frame->made[k] = PyObject_Vectorcall(batch->tools.empty, arguments, 2, NULL);
            if (frame->made[k] == NULL) {
                status = -1;
                break;
            }
        }
        status = sd_py_view_array(
                     &batch->tools, frame->made[k], batch->item, PyBUF_WRITABLE, frame->views, &frame->viewed)
            && view->ndim == 1 && view->shape[0] == frame->points && (out == NULL || sd_py_is_apart(frame, view));
        if (status != 1)
            break;
        if (batch->single)
            frame->out.out_f[k] = view->buf;
        else
            frame->out.out_d[k] = view->buf;
        frame->out_step[k] = 1;
    }
    Py_XDECREF(shape);
    return status;
}

static int sd_py_batch_compute(const sd_py_batch *batch, const sd_py_points *frame)
{
    size_t n = (size_t)frame->points;

    return batch->single
        ? ((sd_py_batch_f)batch->function)(
              n, frame->in.in_f, frame->in_step, (float *const *)frame->out.out_f, frame->out_step)
        : ((sd_py_batch_d)batch->function)(
              n, frame->in.in_d, frame->in_step, (double *const *)frame->out.out_d, frame->out_step);
}

static PyObject *sd_py_batch_both(const sd_py_batch *batch, const sd_py_points *frame)
{
    PyObject *partials, *both;

    if (batch->gradient == Py_None)
        return sd_py_both(frame->made[0], Py_None, NULL);
    partials = PyTuple_New(batch->outputs - 1);
    if (partials == NULL)
        return NULL;
    for (Py_ssize_t k = 1; k < batch->outputs; ++k) {
        Py_INCREF(frame->made[k]);
        PyTuple_SET_ITEM(partials, k - 1, frame->made[k]);
    }
    both = sd_py_both(frame->made[0], batch->gradient, partials);
    Py_DECREF(partials);
    return both;
}

/* The caller's arrays among the keywords, NULL without any; 0 if there is something else. */
static int sd_py_batch_out(const sd_py_batch *batch, PyObject *const *given, PyObject *names, PyObject **out)
{
    *out = NULL;
    if (names == NULL || PyTuple_GET_SIZE(names) == 0)
        return 1;
    if (PyTuple_GET_SIZE(names) != 1 || PyUnicode_Compare(PyTuple_GET_ITEM(names, 0), batch->out) != 0)
        return 0;
    *out = given[batch->inputs];
    return PyTuple_CheckExact(*out) && PyTuple_GET_SIZE(*out) == batch->outputs;
}

static PyObject *sd_py_batch_vectorcall(PyObject *self, PyObject *const *given, size_t flags, PyObject *names)
{
    const sd_py_batch *batch = (const sd_py_batch *)self;
    PyObject *result = NULL, *out;
    sd_py_points frame;
    int taken = 1;

    if (PyVectorcall_NARGS(flags) != batch->inputs || !sd_py_batch_out(batch, given, names, &out))
        Py_RETURN_NOTIMPLEMENTED;
    frame.viewed = 0;
    frame.points = -1;
    memset(frame.made, 0, (size_t)batch->outputs * sizeof *frame.made);
    for (Py_ssize_t k = 0; k < batch->inputs && taken == 1; ++k)
        taken = sd_py_batch_take(batch, given[k], k, &frame);
    if (taken == 1)
        taken = frame.points > 0 && frame.points < batch->most;
    if (taken == 1)
        taken = sd_py_batch_results(batch, out, &frame);
    if (taken == 1) {
        int status;
        if (frame.points < batch->release) {
            status = sd_py_batch_compute(batch, &frame);
        } else {
            Py_BEGIN_ALLOW_THREADS
            status = sd_py_batch_compute(batch, &frame);
            Py_END_ALLOW_THREADS
        }
        taken = status == 0;
    }
    if (taken == 1)
        result = sd_py_batch_both(batch, &frame);
    while (frame.viewed > 0)
        PyBuffer_Release(&frame.views[--frame.viewed]);
    for (Py_ssize_t k = 0; k < batch->outputs; ++k)
        Py_XDECREF(frame.made[k]);
    if (taken == 0)
        Py_RETURN_NOTIMPLEMENTED;
    return result;
}

static PyObject *sd_py_batch_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    unsigned long long function;
    int single;
    Py_ssize_t inputs, outputs, most, release;
    PyObject *out, *gradient, *kept;
    sd_py_tools tools;
    sd_py_batch *batch;

    if (!sd_py_no_names(names)
        || !PyArg_ParseTuple(arguments, "KpnnnnUOO&O", &function, &single, &inputs, &outputs, &most, &release, &out,
            &gradient, sd_py_read_tools, &tools, &kept))
        return NULL;
    if (inputs < 0 || outputs < 1 || inputs + outputs > SD_PY_ARRAYS
        || (gradient == Py_None ? outputs != 1 : !sd_py_is_gradient(gradient))) {
        sd_py_refuse();
        return NULL;
    }
    batch = (sd_py_batch *)type->tp_alloc(type, 0);
    if (batch == NULL)
        return NULL;
    batch->vectorcall = sd_py_batch_vectorcall;
    batch->function = (uintptr_t)function;
    batch->single = single;
    batch->item = single ? sizeof(float) : sizeof(double);
    batch->inputs = inputs;
    batch->outputs = outputs;
    batch->most = most;
    batch->release = release;
    Py_INCREF(out);
    batch->out = out;
    Py_INCREF(gradient);
    batch->gradient = gradient;
    sd_py_keep_tools(&tools);
    batch->tools = tools;
    Py_INCREF(kept);
    batch->kept = kept;
    return (PyObject *)batch;
}

static void sd_py_batch_dealloc(PyObject *self)
{
    sd_py_batch *batch = (sd_py_batch *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(batch->out);
    Py_XDECREF(batch->gradient);
    sd_py_drop_tools(&batch->tools);
    Py_XDECREF(batch->kept);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- Bound ---- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    sd_py_kernel kernel;
    uintptr_t in, out, workspace;
    PyObject *kept;
} sd_py_bound;

static PyObject *sd_py_bound_vectorcall(PyObject *self, PyObject *const *given, size_t flags, PyObject *names)
{
    const sd_py_bound *bound = (const sd_py_bound *)self;

    (void)given;
    if (names != NULL || PyVectorcall_NARGS(flags) != 0) {
        PyErr_SetString(PyExc_TypeError, "a bound call takes no arguments");
        return NULL;
    }
    return PyLong_FromLong(sd_py_run(
        &bound->kernel, (const void *)bound->in, (const void *)bound->out, (void *)bound->workspace));
}

static PyObject *sd_py_bound_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    sd_py_kernel kernel;
    unsigned long long in, out, workspace;
    PyObject *kept;
    sd_py_bound *bound;

    if (!sd_py_no_names(names) || !PyArg_ParseTuple(arguments, "O&KKKO", sd_py_read_kernel, &kernel, &in, &out,
            &workspace, &kept))
        return NULL;
    bound = (sd_py_bound *)type->tp_alloc(type, 0);
    if (bound == NULL)
        return NULL;
    bound->vectorcall = sd_py_bound_vectorcall;
    bound->kernel = kernel;
    bound->in = (uintptr_t)in;
    bound->out = (uintptr_t)out;
    bound->workspace = (uintptr_t)workspace;
    Py_INCREF(kept);
    bound->kept = kept;
    return (PyObject *)bound;
}

static void sd_py_bound_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(((sd_py_bound *)self)->kept);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- Entry ---- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *other; /* the Python function, which is given the kernel first */
} sd_py_entry;

static PyObject *sd_py_entry_vectorcall(PyObject *self, PyObject *const *given, size_t flags, PyObject *names)
{
    Py_ssize_t count = PyVectorcall_NARGS(flags);

    if (names == NULL && count > 0) {
        PyObject *direct = PyObject_GetAttr(given[0], sd_py_direct_name), *result;
        if (direct == NULL)
            return NULL;
        result = PyObject_Vectorcall(direct, given + 1, (size_t)(count - 1), NULL);
        Py_DECREF(direct);
        if (result != Py_NotImplemented)
            return result;
        Py_DECREF(result);
    }
    return PyObject_Vectorcall(((sd_py_entry *)self)->other, given, (size_t)count, names);
}

/* As of a function: a method of the object, and the thing itself of the class. */
static PyObject *sd_py_entry_get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    if (object != NULL && object != Py_None)
        return PyMethod_New(self, object);
    Py_INCREF(self);
    return self;
}

static PyObject *sd_py_entry_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    PyObject *other;
    sd_py_entry *entry;

    if (!sd_py_no_names(names) || !PyArg_ParseTuple(arguments, "O", &other))
        return NULL;
    entry = (sd_py_entry *)type->tp_alloc(type, 0);
    if (entry == NULL)
        return NULL;
    entry->vectorcall = sd_py_entry_vectorcall;
    Py_INCREF(other);
    entry->other = other;
    return (PyObject *)entry;
}

static void sd_py_entry_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(((sd_py_entry *)self)->other);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- module ---- */

#define SD_PY_TYPE(name, slot, get, flags) /* with one slot more, 0 for none */                                        \
    static PyMemberDef sd_py_##name##_members[] = {                                                                    \
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(sd_py_##name, vectorcall), READONLY, NULL},                      \
        {NULL, 0, 0, 0, NULL},                                                                                         \
    };                                                                                                                 \
    static PyType_Slot sd_py_##name##_slots[] = {                                                                      \
        {Py_tp_new, (void *)sd_py_##name##_new},                                                                       \
        {Py_tp_dealloc, (void *)sd_py_##name##_dealloc},                                                               \
        {Py_tp_call, (void *)PyVectorcall_Call},                                                                       \
        {Py_tp_members, (void *)sd_py_##name##_members},                                                               \
        {slot, (void *)(get)},                                                                                         \
        {0, NULL},                                                                                                     \
    };                                                                                                                 \
    static PyType_Spec sd_py_##name##_spec = {"symdiff." #name, sizeof(sd_py_##name), 0,                               \
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | (flags), sd_py_##name##_slots}
SD_PY_TYPE(call, 0, NULL, 0);
SD_PY_TYPE(batch, 0, NULL, 0);
SD_PY_TYPE(bound, 0, NULL, 0);
SD_PY_TYPE(entry, Py_tp_descr_get, sd_py_entry_get, Py_TPFLAGS_METHOD_DESCRIPTOR);

static struct PyModuleDef sd_py_module = {PyModuleDef_HEAD_INIT, "calls", NULL, -1, NULL, NULL, NULL, NULL, NULL};

static int sd_py_add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    int status = type == NULL ? -1 : PyObject_SetAttrString(module, name, type);

    Py_XDECREF(type);
    return status;
}

/* SD_PY_INIT is PyInit_ and the module's name. */
PyMODINIT_FUNC SD_PY_INIT(void)
{
    PyObject *module = PyModule_Create(&sd_py_module);

    if (module == NULL)
        return NULL;
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    if ((sd_py_dtype_name == NULL && (sd_py_dtype_name = PyUnicode_InternFromString("dtype")) == NULL)
        || (sd_py_direct_name == NULL && (sd_py_direct_name = PyUnicode_InternFromString("_direct")) == NULL)
        || sd_py_add_type(module, "Call", &sd_py_call_spec) < 0
        || sd_py_add_type(module, "Batch", &sd_py_batch_spec) < 0
        || sd_py_add_type(module, "Bound", &sd_py_bound_spec) < 0
        || sd_py_add_type(module, "Entry", &sd_py_entry_spec) < 0)
        Py_CLEAR(module);
    return module;
}
