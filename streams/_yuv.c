/* Frames of 8-bit planar YUV to float32 RGB and back, in one pass over memory.
 *
 * The arithmetic of yuv.py and chroma.py, operation by operation, on rows that stay in the smallest
 * cache. Addresses and sizes are believed: compiled_yuv.py looks at them.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

/* Compiled twice and chosen when the module is loaded. A third time, with AVX-512, is no faster:
 * memory is what is waited for. */
#if defined(__x86_64__) && defined(__GLIBC__) && __GNUC__ >= 12 && !defined(__SANITIZE_ADDRESS__)
#define CLONED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define CLONED
#endif

typedef struct {
    Py_ssize_t height, width;   /* of luma */
    int rows, columns;          /* whether chroma has half as many */
    int cosited;                /* whether its columns lie on columns of luma, or half-way */
} Picture;

typedef struct {
    float scale, black;         /* luma from its code */
    float red, blue;            /* of Cr and of Cb in red and in blue, for what enlarging makes */
    float green_cb, green_cr;
    float low, high;            /* where red, green and blue end */
} Reading;

typedef struct {
    float red, green, blue;     /* in the code of luma */
    float zero;                 /* code of black, and a half, which rounds */
    float per_code;             /* luma of a code */
    float cb, cb_zero, cr, cr_zero;
} Writing;

static Py_ssize_t half(Py_ssize_t count) { return (count + 1) / 2; }

/* A row of chroma between three of its plane, gain times as large; gain 1 and slope 0: the row. */
CLONED static void between_rows(const uint8_t *above, const uint8_t *row, const uint8_t *below,
                                int gain, int slope, int grey, int16_t *restrict out,
                                Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = (int16_t)(gain * (row[i] - grey) + slope * (above[i] - below[i]));
}

/* Twice as many columns, twice as large; row[count] is there. */
CLONED static void double_cosited(const int16_t *restrict row, int16_t *restrict out,
                                  Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        out[2 * i] = (int16_t)(2 * row[i]);
        out[2 * i + 1] = (int16_t)(row[i] + row[i + 1]);
    }
}

/* Twice as many columns, eight times as large; row[-1] and row[count] are there. */
CLONED static void double_halfway(const int16_t *restrict row, int16_t *restrict out,
                                  Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        int slope = row[i - 1] - row[i + 1];
        out[2 * i] = (int16_t)(8 * row[i] + slope);
        out[2 * i + 1] = (int16_t)(8 * row[i] - slope);
    }
}

static float clamp(float x, float low, float high)
{
    x = x > low ? x : low;      /* what is no number becomes the lower end */
    return x < high ? x : high;
}

CLONED static void mix_row(const uint8_t *restrict luma, const int16_t *restrict cb,
                           const int16_t *restrict cr, const Reading *reading,
                           float *restrict red, float *restrict green, float *restrict blue,
                           Py_ssize_t count)
{
    const Reading by = *reading;
    for (Py_ssize_t i = 0; i < count; i++) {
        float y = by.black + by.scale * luma[i];
        red[i] = clamp(y + by.red * cr[i], by.low, by.high);
        blue[i] = clamp(y + by.blue * cb[i], by.low, by.high);
        green[i] = clamp(y + by.green_cb * cb[i] + by.green_cr * cr[i], by.low, by.high);
    }
}

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

static uint8_t code(float x) { return (uint8_t)(int)clamp(x, 0, 255); }

static float luma_code(float red, float green, float blue, const Writing *by)
{
    return by->zero + by->red * red + by->green * green + by->blue * blue;
}

static float mean(float a, float b) { return b - (b - a) * 0.5f; }

/* Codes of luma, and red and blue less luma, of a row; rgb are its three colours. */
CLONED static void split_row(const float *const rgb[3], const Writing *writing,
                             uint8_t *restrict luma, float *restrict red, float *restrict blue,
                             Py_ssize_t count)
{
    const Writing by = *writing;
    const float *r = rgb[0], *g = rgb[1], *b = rgb[2];
    for (Py_ssize_t i = 0; i < count; i++) {
        float y = luma_code(r[i], g[i], b[i], &by);
        luma[i] = code(y);
        red[i] = r[i] - y * by.per_code;
        blue[i] = b[i] - y * by.per_code;
    }
}

/* The same of two rows, whose differences are those of their mean. */
CLONED static void split_rows(const float *const first[3], const float *const second[3],
                              const Writing *writing, uint8_t *restrict upper,
                              uint8_t *restrict lower, float *restrict red, float *restrict blue,
                              Py_ssize_t count)
{
    const Writing by = *writing;
    const float *r = first[0], *g = first[1], *b = first[2];
    const float *r2 = second[0], *g2 = second[1], *b2 = second[2];
    for (Py_ssize_t i = 0; i < count; i++) {
        float y = luma_code(r[i], g[i], b[i], &by), y2 = luma_code(r2[i], g2[i], b2[i], &by);
        upper[i] = code(y);
        lower[i] = code(y2);
        float grey = mean(y, y2) * by.per_code;
        red[i] = mean(r[i], r2[i]) - grey;
        blue[i] = mean(b[i], b2[i]) - grey;
    }
}

/* Every other column by the 5/3 filter, in its lifting form. */
CLONED static void halve_cosited(const float *restrict row, float *restrict even,
                                 float *restrict odd, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        even[i] = row[2 * i];
        odd[i] = row[2 * i + 1];
    }
    even[count] = even[count - 1];
    for (Py_ssize_t i = 0; i < count; i++)
        odd[i] = odd[i] - 0.5f * even[i] - 0.5f * even[i + 1];
    odd[-1] = odd[0];
    for (Py_ssize_t i = 0; i < count; i++)
        even[i] = even[i] + 0.25f * odd[i] + 0.25f * odd[i - 1];
}

CLONED static void halve_halfway(const float *restrict row, float *restrict out, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = mean(row[2 * i], row[2 * i + 1]);
}

CLONED static void encode_row(const float *restrict row, float scale, float zero,
                              uint8_t *restrict out, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        out[i] = code(zero + scale * row[i]);
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

static const void *at(unsigned long long address) { return (const void *)(uintptr_t)address; }

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
    const uint8_t *const stored[3] = {at(planes[0]), at(planes[1]), at(planes[2])};
    done = read_frame(stored, strides, grey, &picture, &by, (float *)at(rgb));
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
    uint8_t *const stored[3] = {(uint8_t *)at(planes[0]), (uint8_t *)at(planes[1]),
                                (uint8_t *)at(planes[2])};
    done = write_frame(at(rgb), strides, &picture, &by, stored);
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
