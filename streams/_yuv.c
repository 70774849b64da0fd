/* Frames of 8-bit planar YUV to float32 RGB and back, in one pass over memory.
 *
 * A row at a time, or two where chroma has half as many: what lies between stays in the smallest
 * cache. Addresses and sizes are believed: compiled_yuv.py looks at them.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

#include "_yuv_rows.h"

typedef struct {
    Py_ssize_t height, width;   /* of luma */
    int rows, columns;          /* whether chroma has half as many */
    int cosited;                /* whether its columns lie on columns of luma, or half-way */
} Picture;

static Py_ssize_t half(Py_ssize_t count) { return (count + 1) / 2; }

/* The chroma of one row of luma: in `full`, or where columns are not halved in `small`. */
static const int16_t *enlarge(const uint8_t *plane, Py_ssize_t stride, Py_ssize_t row, int grey,
                              const Picture *picture, int16_t *small, int16_t *full)
{
    Py_ssize_t count = picture->columns ? half(picture->width) : picture->width;
    Py_ssize_t last = half(picture->height) - 1, at = picture->rows ? row / 2 : row;
    const uint8_t *here = plane + at * stride, *above = here, *below = here;
    if (picture->rows) {
        above -= at > 0 ? stride : 0;
        /* A last row without a second one of luma is what it says: no slope. */
        below = at < last ? here + stride : picture->height % 2 ? above : here;
    }
    int slope = !picture->rows ? 0 : row % 2 ? -1 : 1;
    between_rows(above, here, below, picture->rows ? 8 : 1, slope, grey, small, count);
    if (!picture->columns)
        return small;
    small[-1] = small[0];
    small[count] = small[count - (picture->width % 2 && !picture->cosited ? 2 : 1)];
    (picture->cosited ? double_cosited : double_halfway)(small, full, count);
    return full;
}

static int read_frame(const uint8_t *const planes[3], const Py_ssize_t strides[3], int grey,
                      const Picture *picture, const Reading *reading, float *rgb)
{
    Py_ssize_t width = picture->width, channel = picture->height * width, room = width + 3;
    int16_t *rows = malloc(4 * (size_t)room * sizeof *rows);
    if (!rows)
        return 0;
    for (Py_ssize_t row = 0; row < picture->height; row++) {
        const int16_t *chroma[2];
        for (int i = 0; i < 2; i++) {
            int16_t *small = rows + 2 * i * room + 1;
            chroma[i] = enlarge(planes[i + 1], strides[i + 1], row, grey, picture, small,
                                small + room);
        }
        float *red = rgb + row * width;
        mix_row(planes[0] + row * strides[0], chroma[0], chroma[1], reading,
                red, red + channel, red + 2 * channel, width);
    }
    free(rows);
    return 1;
}

/* Differences to codes of chroma; `row` has room for one more column, `spare` for two rows. */
static void reduce(float *row, float *spare, const Picture *picture, float scale, float zero,
                   uint8_t *out)
{
    Py_ssize_t count = half(picture->width);
    if (!picture->columns) {
        encode_row(row, scale, zero, out, picture->width);
        return;
    }
    if (picture->width % 2)
        row[picture->width] = row[picture->width - 1];
    if (picture->cosited)
        halve_cosited(row, spare, spare + count + 2, count);
    else
        halve_halfway(row, spare, count);
    encode_row(spare, scale, zero, out, count);
}

static int write_frame(const float *rgb, const Py_ssize_t strides[2], const Picture *picture,
                       const Writing *writing, uint8_t *const planes[3])
{
    Py_ssize_t width = picture->width, room = width + 4, step = 1 + picture->rows;
    Py_ssize_t columns = picture->columns ? half(width) : width;
    float *rows = malloc(4 * (size_t)room * sizeof *rows);
    if (!rows)
        return 0;
    float *red = rows, *blue = rows + room, *spare = rows + 2 * room;
    for (Py_ssize_t row = 0; row < picture->height; row += step) {
        uint8_t *luma = planes[0] + row * width, *next = luma + width;
        const float *first[3], *second[3];
        int last = row + 1 == picture->height;
        for (int i = 0; i < 3; i++) {
            first[i] = rgb + i * strides[0] + row * strides[1];
            second[i] = last ? first[i] : first[i] + strides[1];
        }
        if (!picture->rows)
            split_row(first, writing, luma, red, blue, width);
        else
            split_rows(first, second, writing, luma, last ? (uint8_t *)(rows + 3 * room) : next,
                       red, blue, width);
        reduce(blue, spare, picture, writing->cb, writing->cb_zero,
               planes[1] + row / step * columns);
        reduce(red, spare, picture, writing->cr, writing->cr_zero,
               planes[2] + row / step * columns);
    }
    free(rows);
    return 1;
}

static const void *pointer(unsigned long long address) { return (const void *)(uintptr_t)address; }

static PyObject *answer(int done)
{
    if (!done)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *read_planes(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    unsigned long long planes[3], rgb;
    Py_ssize_t strides[3];
    Picture picture;
    Reading by;
    int grey, done;
    if (!PyArg_ParseTuple(arguments, "(KKK)(nnn)K(nn)(ppp)i(ffffffff):read",
                          &planes[0], &planes[1], &planes[2],
                          &strides[0], &strides[1], &strides[2], &rgb,
                          &picture.height, &picture.width,
                          &picture.rows, &picture.columns, &picture.cosited, &grey,
                          &by.scale, &by.black, &by.red, &by.blue, &by.green_cb, &by.green_cr,
                          &by.low, &by.high))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *const stored[3] = {pointer(planes[0]), pointer(planes[1]), pointer(planes[2])};
    done = read_frame(stored, strides, grey, &picture, &by, (float *)pointer(rgb));
    Py_END_ALLOW_THREADS
    return answer(done);
}

static PyObject *write_planes(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    unsigned long long rgb, planes[3];
    Py_ssize_t strides[2];
    Picture picture;
    Writing by;
    int done;
    if (!PyArg_ParseTuple(arguments, "K(nn)(nn)(ppp)(fffffffff)(KKK):write",
                          &rgb, &strides[0], &strides[1], &picture.height, &picture.width,
                          &picture.rows, &picture.columns, &picture.cosited,
                          &by.red, &by.green, &by.blue, &by.zero, &by.per_code,
                          &by.cb, &by.cb_zero, &by.cr, &by.cr_zero,
                          &planes[0], &planes[1], &planes[2]))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    uint8_t *const stored[3] = {(uint8_t *)pointer(planes[0]), (uint8_t *)pointer(planes[1]),
                                (uint8_t *)pointer(planes[2])};
    done = write_frame(pointer(rgb), strides, &picture, &by, stored);
    Py_END_ALLOW_THREADS
    return answer(done);
}

static PyMethodDef methods[] = {
    {"read", read_planes, METH_VARARGS, NULL},
    {"write", write_planes, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_yuv",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__yuv(void) { return PyModuleDef_Init(&definition); }
